"""Resuming a pipeline: a new job of the same plan, in which what completed is taken over.

A step runs again where it did not complete, or where a step that it reads from runs again; a
parallel step runs only the mini batches that are missing. The plan is the accepted one: files that
have changed since are not read (to run those, submit the pipeline again; its unchanged steps are
reused).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace

from mlops_dagster.aml.references import DatastorePath, parse_reference
from mlops_dagster.errors import Conflict, InvalidRequest
from mlops_dagster.workspace.local.ground.plan import (
    Input,
    Output,
    Plan,
    PlannedPipeline,
    PlannedStep,
    Produced,
    decode,
)
from mlops_dagster.workspace.local.planning.planner import Planned
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.job_names import free_name
from mlops_dagster.workspace.local.records.jobs import NewJob, status_of
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus

_NOTE = "This resumes "


def resumable_plan(
    connection: sqlite3.Connection, name: str
) -> tuple[Plan, dict[str, sqlite3.Row]]:
    """The plan of a pipeline that can be resumed, and the rows of its jobs by name.

    Raises InvalidRequest for what is no pipeline, or completed; Conflict where it still runs.
    """
    rows = connection.execute("SELECT * FROM jobs WHERE root = ?", (name,)).fetchall()
    by_name = {row["name"]: row for row in rows}
    row = by_name.get(name) or records.find(connection, name)
    if row is None or row["type"] != "pipeline" or row["root"] != name:
        what = "a step" if row is not None and row["root"] != name else "no pipeline"
        remedy = "Resume its pipeline." if what == "a step" else "Submit its file again."
        raise InvalidRequest(
            f"Job {name} is {what}; only a pipeline can be resumed.", remedy=remedy
        )
    status = status_of(row)
    if not status.is_terminal:
        raise Conflict(f"Job {name} has not ended yet; it is {status}.", remedy="Cancel it first.")
    if status is JobStatus.COMPLETED:
        raise InvalidRequest(
            f"Job {name} has completed; there is nothing to resume.",
            remedy="Submit its file to run it again.",
        )
    found = connection.execute("SELECT plan FROM job_plans WHERE job = ?", (name,)).fetchone()
    return decode(found["plan"]), by_name


def content_digest(name: str) -> str:
    """Digest of what a job that resumes another one does."""
    return hashlib.sha256(f"resume {name}".encode()).hexdigest()


def resume_plan(
    plan: Plan,
    rows: Mapping[str, sqlite3.Row],
    new: str,
    storage: Storage,
    is_taken: Callable[[str], bool],
    has_all_outputs: Callable[[str], bool],
) -> Planned:
    """The plan of the job ``new`` that resumes ``plan``'s, with its rows.

    Args:
        is_taken: tells whether a job of a name exists already.
        has_all_outputs: tells whether all outputs of a completed job are still there.
    """
    names = _names(plan, new, is_taken)
    again: set[str] = set()
    steps = []
    for step in plan.steps:
        completed = status_of(rows[step.job]) is JobStatus.COMPLETED and has_all_outputs(step.job)
        if not completed or step.upstreams & again:
            again.add(step.job)
        steps.append(_new_step(step, names, storage, taken_over=step.job not in again))
    note = (
        f"{_NOTE}{plan.root}: {_step_count(len(steps) - len(again))} completed there and"
        f" {_are(len(steps) - len(again))} taken over, {_step_count(len(again))} to run."
    )
    return Planned(
        replace(
            plan,
            root=new,
            steps=tuple(steps),
            pipelines=tuple(_new_pipeline(pipeline, names) for pipeline in plan.pipelines),
            notes=(note, *(note for note in plan.notes if not note.startswith(_NOTE))),
        ),
        tuple(_new_row(rows[old], names, plan.root) for old in names),
    )


def _names(plan: Plan, new: str, is_taken: Callable[[str], bool]) -> dict[str, str]:
    """The new job's name for each job of the plan, those around first."""
    names: dict[str, str] = {}
    paths = {pipeline.job: pipeline for pipeline in plan.pipelines} | {
        step.job: step for step in plan.steps
    }
    for old, item in paths.items():
        if item.parent is None:
            names[old] = new
            continue
        wanted = f"{names[item.parent]}_{item.path.rpartition('.')[2]}"
        names[old] = free_name(wanted, lambda name: name in names.values() or is_taken(name))
    return names


def _new_step(
    step: PlannedStep, names: Mapping[str, str], storage: Storage, *, taken_over: bool
) -> PlannedStep:
    job = names[step.job]
    return replace(
        step,
        job=job,
        parent=names[step.parent] if step.parent else None,
        inputs={name: _input(value, names) for name, value in step.inputs.items()},
        outputs={
            name: _output(output, job, name, storage) for name, output in step.outputs.items()
        },
        after=tuple(names[job] for job in step.after),
        finalizes=tuple(names[job] for job in step.finalizes),
        takes_over=step.job if taken_over else None,
        resumes=() if taken_over else (step.job, *step.resumes),
    )


def _output(output: Output, job: str, name: str, storage: Storage) -> Output:
    if output.chosen:
        return output
    place = parse_reference(output.uri)
    datastore = place.datastore if isinstance(place, DatastorePath) else None
    return replace(output, uri=storage.outputs.default_output(job, name, output.type, datastore))


def _new_pipeline(pipeline: PlannedPipeline, names: Mapping[str, str]) -> PlannedPipeline:
    return replace(
        pipeline,
        job=names[pipeline.job],
        parent=names[pipeline.parent] if pipeline.parent else None,
        members=tuple(names[member] for member in pipeline.members),
        outputs={name: _produced(source, names) for name, source in pipeline.outputs.items()},
    )


def _input(value: Input, names: Mapping[str, str]) -> Input:
    return _produced(value, names) if isinstance(value, Produced) else value


def _produced(source: Produced, names: Mapping[str, str]) -> Produced:
    return replace(source, job=names[source.job])


def _new_row(row: sqlite3.Row, names: Mapping[str, str], root: str) -> NewJob:
    is_root = row["name"] == root
    properties = json.loads(row["properties"])
    if is_root:
        properties[records.RESUMES] = root
    return NewJob(
        name=names[row["name"]],
        type=row["type"],
        status=JobStatus.QUEUED if is_root else JobStatus.NOT_STARTED,
        experiment=row["experiment"],
        root=names[root],
        parent=names[row["parent"]] if row["parent"] else None,
        step=row["step"],
        display_name=row["display_name"],
        description=row["description"],
        compute=row["compute"],
        compute_key=row["compute_key"],
        nodes=row["nodes"],
        max_nodes=row["max_nodes"],
        tags=json.loads(row["tags"]),
        properties=properties,
        content=content_digest(root) if is_root else "",
    )


def _step_count(number: int) -> str:
    return f"{number} step{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
