"""Reuse: a step that was run before, on the same inputs, stands in for the one to come.

Source: a step is reused where it is deterministic and its code, inputs, parameters and environment
are what they were (learn.microsoft.com/azure/machine-learning/reference-yaml-component-command,
``is_deterministic``; .../reference-yaml-job-pipeline, ``force_rerun``).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace.local.ground.plan import Data, PlannedStep, Value
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

CompletedJob = tuple[str, Sequence[OutputRecord]]
"""A completed job and its outputs."""


def fingerprint(step: PlannedStep, inputs: Mapping[str, Value | Data], storage: Storage) -> str:
    """Digest of all that a step's outputs depend on."""
    whole = {
        "kind": step.kind,
        "body": step.body,
        "code": step.code,
        "runtime": {**asdict(step.runtime), "notes": ()},
        "environment_variables": step.environment_variables,
        "inputs": {name: _identity(value, storage) for name, value in inputs.items()},
        "outputs": {
            name: [output.type, output.uri if output.chosen else "", output.name, output.version]
            for name, output in step.outputs.items()
        },
    }
    text = json.dumps(whole, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def find_completed(
    connection: sqlite3.Connection, found: str, storage: Storage
) -> CompletedJob | None:
    """The newest completed job of a fingerprint whose outputs are all there, and these."""
    rows = connection.execute(
        "SELECT name FROM jobs WHERE fingerprint = ? AND status = ? AND reused_from IS NULL"
        " ORDER BY sequence DESC LIMIT 20",
        (found, JobStatus.COMPLETED),
    ).fetchall()
    return next(
        (done for row in rows if (done := completed_job(connection, row["name"], storage))), None
    )


def completed_job(
    connection: sqlite3.Connection, job: str, storage: Storage
) -> CompletedJob | None:
    """A completed job with its outputs, where they are all there and as it left them."""
    outputs = [
        OutputRecord(item["name"], item["type"], item["uri"], item["asset"])
        for item in connection.execute("SELECT * FROM job_outputs WHERE job = ?", (job,))
    ]
    whole = all(_is_there(output, storage) for output in outputs)
    return (job, outputs) if whole and not _written_since(connection, job) else None


def _identity(value: Value | Data, storage: Storage) -> list[object]:
    if isinstance(value, Value):
        return ["value", value.value]
    return [value.type, value.version or storage.digest(storage.path_of(value.uri))]


def _is_there(output: OutputRecord, storage: Storage) -> bool:
    try:
        return storage.path_of(output.uri).exists()
    except MlopsError:
        return False


def _written_since(connection: sqlite3.Connection, job: str) -> bool:
    """Whether a later job has written to a path that this one names for an output."""
    later = connection.execute(
        "SELECT 1 FROM job_outputs AS mine JOIN job_outputs AS other USING (uri)"
        " JOIN jobs ON jobs.name = other.job"
        " WHERE mine.job = ? AND other.job != mine.job AND mine.uri NOT LIKE ?"
        " AND jobs.type != 'pipeline' AND jobs.reused_from IS NULL"
        " AND jobs.ended_at > (SELECT ended_at FROM jobs WHERE name = mine.job)",
        (job, f"%/paths/azureml/{job}/%"),
    )
    return later.fetchone() is not None


def reuse_note(job: str) -> str:
    """The line for the log of a job that another one stands in for."""
    return f"Not run: {job} was the same, with the same inputs, and its outputs are taken over."


def resume_note(job: str) -> str:
    """The line for the log of a step that completed in the pipeline that its own resumes."""
    return f"Not run: {job} completed in the pipeline that this one resumes; its outputs are taken over."
