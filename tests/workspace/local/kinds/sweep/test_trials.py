"""Which trial of a sweep is the best."""

from __future__ import annotations

import pytest

from mlops_dagster.workspace.local.kinds.sweep.termination import Goal
from mlops_dagster.workspace.local.kinds.sweep.trials import TrialResult, best_of, results_table
from mlops_dagster.workspace.ports import JobStatus


def trial(number: int, *logged: float, status: JobStatus = JobStatus.COMPLETED) -> TrialResult:
    return TrialResult(f"t_{number}", number, {"x": number}, status=status, logged=logged)


def ended_early(number: int, *logged: float) -> TrialResult:
    early = trial(number, *logged, status=JobStatus.CANCELED)
    early.ended_early = True
    return early


@pytest.mark.parametrize(("goal", "best"), [("maximize", 1), ("minimize", 2)])
def test_the_best_is_by_the_best_value_that_each_logged(goal: Goal, best: int) -> None:
    results = [trial(0, 0.5, 0.4), trial(1, 0.9, 0.3), trial(2, 0.1, 0.6), trial(3)]
    found = best_of(results, goal, completed=False)
    assert found is results[best]


def test_the_earlier_of_two_alike_is_the_best() -> None:
    results = [trial(1, 0.9), trial(0, 0.9)]
    assert best_of(results, "maximize", completed=False) is results[1]


def test_a_trial_that_failed_or_was_canceled_is_never_the_best() -> None:
    gone = [
        trial(0, 0.9, status=JobStatus.FAILED),
        trial(1, 0.9, status=JobStatus.CANCELED),
    ]
    assert best_of(gone, "maximize", completed=False) is None


def test_a_trial_that_was_ended_early_counts_by_its_last_value() -> None:
    results = [ended_early(0, 0.9, 0.2), trial(1, 0.3)]
    assert best_of(results, "maximize", completed=False) is results[1]
    results = [ended_early(0, 0.2, 0.9), trial(1, 0.3)]
    assert best_of(results, "maximize", completed=False) is results[0]


def test_where_outputs_are_wanted_the_best_is_one_that_completed() -> None:
    results = [ended_early(0, 0.9), trial(1, 0.3)]
    assert best_of(results, "maximize", completed=True) is results[1]


def test_the_table_tells_of_trials_without_the_metric_and_of_nested_spaces() -> None:
    nested = TrialResult("t_0", 0, {"m": {"kind": "tree", "rate": 1 / 3}}, status=JobStatus.FAILED)
    text = results_table([nested, trial(1, 2 / 3)], "auc", "maximize", None)
    assert text.splitlines() == [
        "trial  hyperparameters                            auc  status",
        't_0    m={"kind": "tree", "rate": 0.333333}            Failed',
        "t_1    x=1                                   0.666667  Completed",
    ]
