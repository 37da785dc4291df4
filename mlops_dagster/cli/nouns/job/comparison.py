"""What `mlops job compare` prints: jobs side by side, or the trials of a sweep as a leaderboard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlops_dagster.cli.nouns.job.views import oldest_first
from mlops_dagster.cli.output import ago, duration, note
from mlops_dagster.cli.records import BEST_TRIAL, inputs_of, job_data, path_of, primary_metric
from mlops_dagster.cli.tables import print_table
from mlops_dagster.errors import InvalidRequest

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import JobRecord, Jobs


@dataclass(frozen=True)
class Side:
    """A job as it is put beside another.

    Attributes:
        inputs: what it was given, by name.
        params, metrics: what it logged; of a metric its last value.
        steps: seconds of each step; None where it has not ended.
    """

    job: JobRecord
    inputs: Mapping[str, Any]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    steps: Mapping[str, float | None]


def side(jobs: Jobs, name: str) -> Side:
    """All that can be compared of a job. Raises NotFound."""
    record = jobs.get(name)
    tracked = jobs.tracked(name)
    steps = oldest_first(jobs.list(parent=name))
    return Side(
        job=record,
        inputs={name: path_of(value) for name, value in inputs_of(record).items()},
        params=dict(tracked.params),
        metrics=tracked.latest,
        steps={step.step or step.name: step.duration for step in steps},
    )


def side_data(side: Side) -> dict[str, Any]:
    """A side for programs."""
    return {
        "job": job_data(side.job),
        "duration": side.job.duration,
        "inputs": side.inputs,
        "params": side.params,
        "metrics": side.metrics,
        "steps": side.steps,
    }


def print_sides(sides: Sequence[Side], *, differences: bool) -> None:
    """Print a column a job; a row that is not the same everywhere is marked with ``*``.

    Args:
        differences: leaves the rows out that are the same everywhere.
    """
    rows: list[tuple[object, ...]] = []
    rows.append(("", "status", *(side.job.status for side in sides)))
    rows.append(("", "created", *(ago(side.job.created_at) for side in sides)))
    rows.append(("", "duration", *(duration(side.job.duration) for side in sides)))
    compared = [
        *_compared("input", [side.inputs for side in sides]),
        *_compared("parameter", [side.params for side in sides]),
        *_compared("metric", [side.metrics for side in sides]),
    ]
    rows += [row for row in compared if row[0] or not differences]
    if not differences:
        seconds = [{key: duration(value) for key, value in side.steps.items()} for side in sides]
        rows += [("", f"step {name}", *values) for name, values in _rows_by_name(seconds)]
    print_table(("", "", *(side.job.name for side in sides)), rows, empty="")
    if differences and not any(row[0] for row in compared):
        note("Inputs, parameters and metrics are the same everywhere.")


@dataclass(frozen=True)
class TrialRow:
    """A trial of a sweep.

    Attributes:
        rank: its place by the primary metric, from 1; None where it logged none.
        metric: the best value of the primary metric; the last one where it was ended early.
    """

    rank: int | None
    job: str
    status: str
    metric: float | None
    hyperparameters: Mapping[str, Any]
    is_best: bool


def leaderboard(jobs: Jobs, sweep: JobRecord) -> list[TrialRow]:
    """The trials of a sweep, the best first. Raises InvalidRequest where the job is no sweep."""
    if sweep.type != "sweep":
        raise InvalidRequest(
            f"{sweep.name} is a {sweep.type} job; one job alone can be compared with nothing.",
            remedy="Name two jobs or more, or one sweep for its trials.",
        )
    metric, goal = primary_metric(sweep)
    best = sweep.properties.get(BEST_TRIAL)
    trials = [
        TrialRow(
            rank=None,
            job=trial.name,
            status=trial.status,
            metric=_metric(jobs, trial, metric, goal),
            hyperparameters=_hyperparameters(trial),
            is_best=trial.name == best,
        )
        for trial in oldest_first(jobs.list(parent=sweep.name))
    ]
    sign = -1 if goal == "maximize" else 1
    ranked = sorted(
        (trial for trial in trials if trial.metric is not None),
        key=lambda trial: (not trial.is_best, sign * (trial.metric or 0.0)),
    )
    numbered = [replace(trial, rank=rank) for rank, trial in enumerate(ranked, 1)]
    return [*numbered, *(trial for trial in trials if trial.metric is None)]


def print_leaderboard(trials: Sequence[TrialRow]) -> None:
    """Print the trials, the best first and marked with ``*``."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
    rows = [
        (
            "*" if trial.is_best else "",
            trial.rank,
            trial.job,
            trial.status,
            trial.metric,
            *(trial.hyperparameters.get(name) for name in names),
        )
        for trial in trials
    ]
    columns = ("", "rank", "trial", "status", "metric", *names)
    print_table(columns, rows, empty="This sweep has no trials yet.")


def _metric(jobs: Jobs, trial: JobRecord, metric: str, goal: str) -> float | None:
    values = [point.value for point in jobs.tracked(trial.name).metrics.get(metric, ())]
    if not values or trial.status != "Completed":
        return values[-1] if values else None
    return max(values) if goal == "maximize" else min(values)


def _hyperparameters(trial: JobRecord) -> Mapping[str, Any]:
    try:
        values = json.loads(trial.tags.get("hyperparameters", "{}"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _compared(kind: str, values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    for name, row in _rows_by_name(values):
        mark = "*" if any(value != row[0] for value in row) else ""
        yield (mark, f"{kind} {name}", *row)


def _rows_by_name(values: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Each name that any of the mappings has, in their order, with its value in each."""
    for name in dict.fromkeys(name for mapping in values for name in mapping):
        yield name, [mapping.get(name) for mapping in values]
