"""What `mlops job show`, `list` and `compare` print of job records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_dagster.cli.output import ago, duration, plain, print_fields, print_table

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import ChildRun, JobRecord, Jobs

_EVERY = 100_000


def show_record(record: JobRecord, steps: Sequence[JobRecord]) -> None:
    """Print one job, its steps and its outputs."""
    print_fields(
        {
            "name": record.name,
            "type": record.type,
            "status": record.status,
            "error": record.error,
            "display name": record.display_name,
            "description": record.description,
            "experiment": record.experiment,
            "compute": record.compute,
            "step": f"{record.step} of {record.parent}" if record.parent else None,
            "created": record.created_at,
            "started": record.started_at,
            "ended": record.ended_at,
            "duration": duration(record.duration),
            "reused from": record.reused_from,
            "archived": "yes" if record.archived else None,
            "tags": record.tags,
            "page": record.url,
        }
    )
    if steps:
        print()
        rows = [
            (step.step, step.status, duration(step.duration), step.reused_from, step.name)
            for step in oldest_first(steps)
        ]
        print_table(("step", "status", "duration", "reused from", "job"), rows, empty="")
    if record.outputs:
        print()
        outputs = [(o.name, o.type, o.asset, o.uri) for o in record.outputs.values()]
        print_table(("output", "type", "asset", "uri"), outputs, empty="")


def show_child_runs(runs: Sequence[ChildRun]) -> None:
    """Print the MLflow runs that a job opened beside its own; their metrics are not the job's."""
    if not runs:
        return
    print()
    rows = [
        (run.name, ", ".join(f"{name}={value:g}" for name, value in run.latest.items()), run.run_id)
        for run in runs
    ]
    print_table(("other MLflow run", "metrics", "id"), rows, empty="")


def completed_line(record: JobRecord, steps: Sequence[JobRecord]) -> str:
    """One sentence about a job that completed: how long it took and what it reused."""
    line = f"Job {record.name} completed"
    if record.reused_from:
        return f"{line}: the outputs of {record.reused_from} were reused, nothing has changed."
    if record.duration is not None:
        line += f" in {duration(record.duration)}"
    reused = [step for step in steps if step.reused_from]
    if reused and (resumed := record.properties.get("mlops.resumes")):
        line += f"; {len(reused)} of {len(steps)} steps were taken over from {resumed}"
    elif reused:
        line += f"; {len(reused)} of {len(steps)} steps were reused, nothing has changed for them"
    return f"{line}."


@dataclass(frozen=True)
class Branch:
    """A job and, where asked for, its steps."""

    record: JobRecord
    steps: Sequence[Branch] = ()


def branch(jobs: Jobs, record: JobRecord, *, deep: bool) -> Branch:
    """A job, with its steps and theirs where ``deep``."""
    if not deep:
        return Branch(record)
    steps = oldest_first(jobs.list(parent=record.name, limit=_EVERY))
    return Branch(record, [branch(jobs, step, deep=True) for step in steps])


def plain_branch(branch: Branch) -> dict[str, Any]:
    """A record's fields and, under ``steps``, those of its steps."""
    return {**plain(branch.record), "steps": [plain_branch(step) for step in branch.steps]}


def list_branches(branches: Sequence[Branch]) -> None:
    """Print jobs, one a line, their steps indented below them."""
    rows = [row for branch in branches for row in _rows(branch, "")]
    columns = ("name", "status", "type", "experiment", "created", "duration", "display name")
    print_table(columns, rows, empty="There are no jobs; submit one: mlops job run FILE")


def oldest_first(records: Sequence[JobRecord]) -> list[JobRecord]:
    """In the order in which they started; those that have not, last."""
    return sorted(records, key=lambda r: (r.started_at is None, r.started_at or r.created_at))


@dataclass(frozen=True)
class Side:
    """A job as it is put beside another.

    Attributes:
        duration: seconds; None where it has not ended.
        inputs: what it was given, by name.
        params, metrics: what it logged; of a metric its last value.
        steps: seconds of each step; None where it has not ended.
    """

    job: JobRecord
    duration: float | None
    inputs: Mapping[str, Any]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    steps: Mapping[str, float | None]


def side(jobs: Jobs, name: str) -> Side:
    """All that can be compared of a job. Raises NotFound."""
    record = jobs.get(name)
    tracked = jobs.tracked(name)
    steps = oldest_first(jobs.list(parent=name, limit=_EVERY))
    return Side(
        job=record,
        duration=record.duration,
        inputs=_inputs(record),
        params=dict(tracked.params),
        metrics=tracked.latest,
        steps={step.step or step.name: step.duration for step in steps},
    )


def compare_sides(sides: Sequence[Side]) -> None:
    """Print a column a job; a row that is not the same everywhere is marked with ``*``."""
    rows: list[tuple[object, ...]] = []
    rows.append(("", "status", *(side.job.status for side in sides)))
    rows.append(("", "created", *(ago(side.job.created_at) for side in sides)))
    rows.append(("", "duration", *(duration(side.duration) for side in sides)))
    rows += _compared("input", [side.inputs for side in sides])
    rows += _compared("parameter", [side.params for side in sides])
    rows += _compared("metric", [side.metrics for side in sides])
    seconds = [{name: duration(value) for name, value in side.steps.items()} for side in sides]
    rows += [("", f"step {name}", *values) for name, values in _rows_by_name(seconds)]
    print_table(("", "", *(side.job.name for side in sides)), rows, empty="")


def _rows(branch: Branch, indent: str) -> Iterator[Sequence[object]]:
    record = branch.record
    shown = f"{indent}{record.step} ({record.name})" if indent else record.name
    yield (
        shown,
        record.status,
        record.type,
        record.experiment,
        ago(record.created_at),
        f"reused {record.reused_from}" if record.reused_from else duration(record.duration),
        record.display_name,
    )
    for step in branch.steps:
        yield from _rows(step, f"{indent}  ")


def _compared(kind: str, values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    for name, row in _rows_by_name(values):
        mark = "*" if any(value != row[0] for value in row) else ""
        yield (mark, f"{kind} {name}", *row)


def _rows_by_name(values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Each name that any of the mappings has, in their order, with its value in each."""
    for name in dict.fromkeys(name for mapping in values for name in mapping):
        yield name, [mapping.get(name) for mapping in values]


def _inputs(record: JobRecord) -> dict[str, Any]:
    """What the job was given, from the property in which the workspace keeps it."""
    try:
        inputs = json.loads(record.properties.get("mlops.inputs", "{}"))
    except ValueError:
        return {}
    return inputs if isinstance(inputs, dict) else {}
