"""The results of a sweep's trials: the best one, and the table of them all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops_dagster.workspace.local.kinds.sweep.search_space import Point
from mlops_dagster.workspace.local.kinds.sweep.termination import Goal
from mlops_dagster.workspace.ports import JobStatus


@dataclass
class TrialResult:
    """A trial, what it was given, and how far it has come.

    Attributes:
        logged: its values of the primary metric, oldest first.
        ended_early: whether a policy asked it to end.
        error: why it did not complete.
    """

    job: str
    number: int
    values: Point
    status: JobStatus = JobStatus.QUEUED
    logged: Sequence[float] = field(default_factory=list)
    ended_early: bool = False
    error: str | None = None

    @property
    def counts(self) -> bool:
        """Whether its metric says something of what it was given: it completed, or was ended early."""
        return self.status is JobStatus.COMPLETED or (
            self.ended_early and self.status is JobStatus.CANCELED
        )

    def metric(self, goal: Goal) -> float | None:
        """The best that it logged; the last where it was ended early; None where there is none.

        Source: the best primary metric of each child is what Azure ML compares
        (learn.microsoft.com/python/api/azureml-train-core/azureml.train.hyperdrive.hyperdriverun).
        """
        if not self.logged:
            return None
        if self.ended_early:
            return self.logged[-1]
        return max(self.logged) if goal == "maximize" else min(self.logged)


def best_of(results: Iterable[TrialResult], goal: Goal, *, completed: bool) -> TrialResult | None:
    """The best trial, the earlier one where two are alike; None where none brought the metric.

    Args:
        completed: only those that completed, since the outputs of the best are wanted.
    """
    known = [
        (metric if goal == "minimize" else -metric, each.number, each)
        for each in results
        if each.counts
        and not (completed and each.status is not JobStatus.COMPLETED)
        and (metric := each.metric(goal)) is not None
    ]
    return min(known)[2] if known else None


def results_table(
    results: Sequence[TrialResult], metric: str, goal: Goal, best: TrialResult | None
) -> str:
    """Trial, hyperparameters, metric and status of each, in columns; the best one is marked."""
    rows = [("trial", "hyperparameters", metric, "status")]
    for each in results:
        found = each.metric(goal)
        status = "ended early" if each.counts and each.ended_early else str(each.status)
        mark = "  <- best" if each is best else ""
        rows.append(
            (
                each.job,
                values_text(each.values),
                "" if found is None else format_number(found),
                status + mark,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{trial:<{widths[0]}}  {given:<{widths[1]}}  {value:>{widths[2]}}  {status}".rstrip()
        for trial, given, value, status in rows
    )


def values_text(values: Point) -> str:
    """What a trial was given, in one short line."""
    return ", ".join(f"{name}={_short(value)}" for name, value in values.items())


def format_number(value: float) -> str:
    """A number with as many digits as a reader wants."""
    return f"{value:.6g}" if math.isfinite(value) else str(value)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps({name: _rounded(inner) for name, inner in value.items()})
    return format_number(value) if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    return float(format_number(value)) if isinstance(value, float) else value
