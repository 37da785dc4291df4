"""What jobs of a landing read and wrote is deleted when nobody needs it any more.

A job reads a copy of its batch's files and writes files of scores. Once these are in the tables,
both are there twice: the drops lie where they landed, the scores in the table. After ``keep`` the
copies go, and the job is archived; its record, its log and its metrics stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlops_dagster.errors import Conflict, InvalidRequest, NotFound
from mlops_dagster.landing.landing import Landing
from mlops_dagster.landing.scoring import BATCH_TAG, INPUT_TAG, PROJECT_TAG
from mlops_dagster.landing.values import now
from mlops_dagster.workspace.ports import JobRecord, Workspace

# Where Azure ML puts local inputs: a copy of its own for every content.
_UPLOADS = "azureml://datastores/workspaceblobstore/paths/LocalUpload/"


@dataclass(frozen=True)
class Cleared:
    """How many jobs were archived, and from how many places files were deleted."""

    jobs: int
    places: int


def clear_jobs(landing: Landing, workspace: Workspace, *, keep: timedelta) -> Cleared:
    """Delete the inputs and outputs of jobs that ended ``keep`` ago, and archive the jobs.

    Jobs of open batches are left alone, and so is what was registered as a data asset. May be
    killed and run again. Raises WorkspaceUnavailable.
    """
    jobs = places = 0
    for job in _ended(landing, workspace, now() - keep):
        for uri in _addresses(job, workspace):
            # The pipeline may have given it another place, or registered it.
            with suppress(Conflict, InvalidRequest):
                workspace.data.delete(uri)
                places += 1
        workspace.jobs.archive(job.name)
        jobs += 1
    return Cleared(jobs, places)


def _ended(landing: Landing, workspace: Workspace, before: datetime) -> Iterator[JobRecord]:
    for job in workspace.jobs.list(tags={PROJECT_TAG: landing.project}):
        is_old = job.ended_at is not None and job.ended_at < before
        if is_old and job.status.is_terminal and not _is_open(landing, job.tags.get(BATCH_TAG, "")):
            yield job


def _is_open(landing: Landing, batch: str) -> bool:
    try:
        return landing.ledger.batch(batch).state.is_open
    except NotFound:  # of a ledger that was lost
        return False


def _addresses(job: JobRecord, workspace: Workspace) -> list[str]:
    """Where the copy of the drops lies that was made for the job, and what it and its steps wrote."""
    drops = str(job.inputs.get(job.tags.get(INPUT_TAG, ""), ""))
    family = [job, *workspace.jobs.list(parent=job.name)]
    written = {output.uri for each in family for output in each.outputs.values()}
    own = sorted(uri for uri in written if f"/{job.name}" in uri)
    return [*([drops] if drops.startswith(_UPLOADS) else []), *own]
