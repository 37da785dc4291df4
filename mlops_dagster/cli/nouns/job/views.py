"""What `mlops job show` and `list` print for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_dagster.cli.output import ago, duration
from mlops_dagster.cli.records import BEST_TRIAL, best_metric, inputs_of, job_data, path_of
from mlops_dagster.cli.tables import print_fields, print_table

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import JobRecord, Jobs


def print_job(jobs: Jobs, record: JobRecord) -> None:
    """Print one job: its state, inputs, outputs, steps and metrics."""
    tags = {name: value for name, value in record.tags.items() if name != "hyperparameters"}
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
            "best trial": _best_trial(record),
            "tags": tags,
            "page": record.url,
        }
    )
    inputs = [(name, path_of(value)) for name, value in inputs_of(record).items()]
    outputs = [(each.name, each.type, each.asset or each.uri) for each in record.outputs.values()]
    steps = [
        (step.step, step.status, duration(step.duration), step.name, step.reused_from)
        for step in oldest_first(jobs.list(parent=record.name))
    ]
    tracked = jobs.tracked(record.name)
    runs = [
        (run.name, ", ".join(f"{name}={value:g}" for name, value in run.latest.items()), run.run_id)
        for run in tracked.runs
    ]
    _print_part(("input", "value"), inputs, shorten=("value",))
    _print_part(("output", "type", "asset or path"), outputs, shorten=("asset or path",))
    child = "trial" if record.type == "sweep" else "step"
    _print_part((child, "status", "duration", "job", "reused from"), steps)
    _print_part(("metric", "last value"), list(tracked.latest.items()))
    _print_part(("other MLflow run", "metrics", "id"), runs, shorten=("metrics",))


def completed_line(record: JobRecord, steps: Sequence[JobRecord]) -> str:
    """One sentence about a job that completed: how long it took and what it reused."""
    line = f"Job {record.name} completed"
    if record.reused_from:
        return f"{line}: the outputs of {record.reused_from} were reused, nothing has changed."
    if record.duration is not None:
        line += f" in {duration(record.duration)}"
    reused = [step for step in steps if step.reused_from]
    if reused and (resumed := record.resumes):
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
    steps = oldest_first(jobs.list(parent=record.name))
    return Branch(record, [branch(jobs, step, deep=True) for step in steps])


def branch_data(branch: Branch) -> dict[str, Any]:
    """A record's data and, under ``steps``, that of its steps."""
    return {**job_data(branch.record), "steps": [branch_data(step) for step in branch.steps]}


def print_branches(branches: Sequence[Branch]) -> None:
    """Print jobs, one a line, their steps indented below them."""
    rows = [row for branch in branches for row in _rows(branch, "")]
    columns = ("name", "status", "type", "experiment", "created", "duration")
    empty = "There are no jobs; submit one: mlops job run FILE"
    print_table(columns, rows, empty=empty, shorten=("experiment",))


def oldest_first(records: Sequence[JobRecord]) -> list[JobRecord]:
    """In the order in which they started; those that have not, last."""
    return sorted(records, key=lambda r: (r.started_at is None, r.started_at or r.created_at))


def _best_trial(record: JobRecord) -> str | None:
    best = record.properties.get(BEST_TRIAL)
    score = best_metric(record)
    return f"{best} ({score})" if best and score else best


def _print_part(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, shorten: Sequence[str] = ()
) -> None:
    """Print a table below another one, without the columns in which nothing stands."""
    used = [i for i in range(len(columns)) if any(row[i] not in (None, "") for row in rows)]
    if rows:
        print()
        shown = [[row[i] for i in used] for row in rows]
        print_table([columns[i] for i in used], shown, empty="", shorten=shorten)


def _rows(branch: Branch, indent: str) -> Iterator[Sequence[object]]:
    record = branch.record
    yield (
        f"{indent}{record.step} ({record.name})" if indent else record.name,
        record.status,
        record.type,
        record.experiment,
        ago(record.created_at),
        "reused" if record.reused_from else duration(record.duration),
    )
    for step in branch.steps:
        yield from _rows(step, f"{indent}  ")
