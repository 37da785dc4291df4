"""The rules in front of the champion."""

from __future__ import annotations

from math import nan

import pytest

from mlops_dagster.project import Model, Origin
from mlops_dagster.release.gate import gate_results

ORIGIN = Origin("train", "register", "model", "mlflow_model", "m")


def model(*, maximize: bool = True, bound: float | None = 0.6) -> Model:
    return Model(
        name="m",
        origin=ORIGIN,
        metric="auc",
        maximize=maximize,
        bound=bound,
        baseline="baseline_auc",
        tolerance=0.01,
        line=1,
    )


def passes(candidate: dict[str, float], champion: dict[str, float] | None = None) -> bool:
    return all(result.passed for result in gate_results(model(), candidate, champion))


@pytest.mark.parametrize(
    ("candidate", "champion", "passed"),
    [
        ({"auc": 0.6}, None, True),
        ({"auc": 0.59}, None, False),
        ({"auc": nan}, None, False),
        ({}, None, False),
        ({"auc": 0.7, "baseline_auc": 0.71}, None, False),
        ({"auc": 0.7, "baseline_auc": nan}, None, False),
        ({"auc": 0.7, "baseline_auc": 0.65}, {"auc": 0.705}, True),
        ({"auc": 0.7, "baseline_auc": 0.65}, {"auc": 0.72}, False),
        ({"auc": 0.7}, {"other": 0.1}, False),
    ],
)
def test_a_version_must_reach_bound_baseline_and_champion(
    candidate: dict[str, float], champion: dict[str, float] | None, passed: bool
) -> None:
    assert passes(candidate, champion) is passed


def test_less_is_better_where_the_goal_is_to_minimize() -> None:
    loss = model(maximize=False, bound=0.5)

    assert all(result.passed for result in gate_results(loss, {"auc": 0.4}, {"auc": 0.395}))
    assert not all(result.passed for result in gate_results(loss, {"auc": 0.51}, None))
    assert not all(result.passed for result in gate_results(loss, {"auc": 0.4}, {"auc": 0.3}))


def test_a_number_is_all_that_is_asked_where_no_rule_is_declared() -> None:
    free = model(bound=None)

    assert [result.passed for result in gate_results(free, {"auc": 0.1}, None)] == [True]
    assert [result.passed for result in gate_results(free, {"auc": nan}, None)] == [False]
