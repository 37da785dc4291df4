"""What a sweep draws, in which order, and when it ends a trial before its time."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.kinds.sweep.sampling import Trial, sampler_of
from mlops_dagster.workspace.local.kinds.sweep.search import Search
from mlops_dagster.workspace.local.kinds.sweep.search_space import Point, literals
from mlops_dagster.workspace.local.kinds.sweep.termination import fallen_behind, to_end


def sweep(space: dict[str, dict[str, Any]], **sampling: Any) -> Search:
    return Search(search_space=space, sampling=sampling, goal="maximize", primary_metric="score")


def points(of: Search, count: int) -> list[Point]:
    sampler = sampler_of(of)
    drawn: list[Point] = []
    while len(drawn) < count and (trial := sampler.ask()) is not None:
        drawn.append(trial.values)
        sampler.tell(trial, 1.0)
    return drawn


def test_a_grid_draws_every_combination_once_and_ends() -> None:
    space = {
        "rate": {"type": "choice", "values": [0.1, 0.2]},
        "depth": {"type": "choice", "values": [1, 2, 3]},
    }
    drawn = points(sweep(space, type="grid"), 100)
    assert len(drawn) == 6
    assert {(point["rate"], point["depth"]) for point in drawn} == {
        (rate, depth) for rate in (0.1, 0.2) for depth in (1, 2, 3)
    }


@pytest.mark.parametrize(
    ("distribution", "holds"),
    [
        ({"type": "randint", "upper": 4}, lambda v: v in range(4)),
        ({"type": "uniform", "min_value": 2, "max_value": 3}, lambda v: 2 <= v <= 3),
        ({"type": "quniform", "min_value": 0, "max_value": 10, "q": 2.5}, lambda v: v % 2.5 == 0),
        (
            {"type": "loguniform", "min_value": -6, "max_value": -1},
            lambda v: math.exp(-6) <= v <= math.exp(-1),
        ),
        ({"type": "qloguniform", "min_value": 0, "max_value": 3, "q": 2}, lambda v: v % 2 == 0),
        ({"type": "normal", "mu": 100, "sigma": 1}, lambda v: 90 < v < 110),
        ({"type": "qnormal", "mu": 100, "sigma": 1, "q": 5}, lambda v: v % 5 == 0),
        ({"type": "lognormal", "mu": 0, "sigma": 1}, lambda v: v > 0),
        ({"type": "qlognormal", "mu": 2, "sigma": 0.1, "q": 1}, lambda v: v == int(v)),
    ],
)
@pytest.mark.parametrize("rule", ["random", "sobol"])
def test_every_distribution_keeps_within_its_bounds(
    distribution: dict[str, Any], holds: Any, rule: str
) -> None:
    drawn = points(sweep({"x": distribution}, type="random", rule=rule, seed=7), 64)
    assert all(holds(point["x"]) for point in drawn)
    assert len({point["x"] for point in drawn}) > 1


@pytest.mark.parametrize("rule", ["random", "sobol"])
def test_the_base_of_the_log_distributions_can_be_chosen(rule: str) -> None:
    space = {"x": {"type": "loguniform", "min_value": -3, "max_value": -1}}
    by_ten = points(sweep(space, type="random", rule=rule, seed=7, logbase="10"), 32)
    assert all(1e-3 <= point["x"] <= 1e-1 for point in by_ten)
    assert min(point["x"] for point in by_ten) < math.exp(-3)


def test_a_base_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="logbase is 'two'"):
        sampler_of(sweep({"x": {"type": "randint", "upper": 3}}, type="random", logbase="two"))


@pytest.mark.parametrize("sampling", [{"rule": "random"}, {"rule": "sobol"}])
def test_the_same_seed_draws_the_same_trials(sampling: dict[str, Any]) -> None:
    space = {"x": {"type": "uniform", "min_value": 0, "max_value": 1}}
    drawn = [points(sweep(space, type="random", seed=3, **sampling), 8) for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_a_sobol_sequence_fills_the_space_evenly() -> None:
    space = {"x": {"type": "uniform", "min_value": 0, "max_value": 8}}
    drawn = points(sweep(space, type="random", rule="sobol", seed=1), 64)
    assert Counter(int(point["x"]) for point in drawn) == dict.fromkeys(range(8), 8)


def test_without_a_seed_a_sobol_sequence_begins_elsewhere_in_every_sweep() -> None:
    space = {"x": {"type": "qlognormal", "mu": 3, "sigma": 1, "q": 1}}
    first = [points(sweep(space, type="random", rule="sobol"), 1)[0]["x"] for _ in range(8)]
    assert len(set(first)) > 1
    assert min(first) > 0, "the edge of the distribution is no trial"


def test_bayesian_sampling_goes_where_the_metric_is_best() -> None:
    space = {"x": {"type": "uniform", "min_value": 0, "max_value": 1}}
    sampler = sampler_of(sweep(space, type="bayesian", seed=5))
    drawn: list[float] = []
    for _ in range(40):
        trial = sampler.ask()
        assert trial is not None
        x = float(trial.values["x"])
        drawn.append(x)
        sampler.tell(trial, -((x - 0.8) ** 2))
    late = drawn[20:]
    assert sum(abs(x - 0.8) < 0.2 for x in late) > len(late) / 2


CONDITIONAL: dict[str, dict[str, Any]] = {
    "model": {
        "type": "choice",
        "values": [
            {"kind": "tree", "depth": {"type": "choice", "values": [2, 4]}},
            {"kind": "linear", "penalty": {"type": "uniform", "min_value": 0, "max_value": 1}},
        ],
    }
}


@pytest.mark.parametrize("rule", ["random", "sobol"])
def test_a_choice_among_spaces_draws_from_the_chosen_one(rule: str) -> None:
    drawn = [
        point["model"] for point in points(sweep(CONDITIONAL, type="random", rule=rule, seed=2), 32)
    ]
    assert {chosen["kind"] for chosen in drawn} == {"tree", "linear"}
    for chosen in drawn:
        assert set(chosen) == {"kind", "depth" if chosen["kind"] == "tree" else "penalty"}


def test_a_grid_draws_every_combination_of_nested_spaces() -> None:
    forest = {"kind": "forest", "trees": {"type": "choice", "values": [10, 20]}}
    space = {
        "model": {"type": "choice", "values": [forest, {"kind": "linear"}]},
        "seed": {"type": "choice", "values": [1, 2]},
    }
    drawn = points(sweep(space, type="grid"), 100)
    assert drawn == [
        {"model": model, "seed": seed}
        for model in (
            {"kind": "forest", "trees": 10},
            {"kind": "forest", "trees": 20},
            {"kind": "linear"},
        )
        for seed in (1, 2)
    ]


def test_a_command_is_given_a_nested_space_as_json_and_field_by_field() -> None:
    given = literals({"model": {"kind": "tree", "depth": 4}, "depth": 7})
    assert given == {"model": '{"kind": "tree", "depth": 4}', "kind": "tree", "depth": 7}


def test_an_integer_input_is_given_whole_numbers_as_such() -> None:
    given = literals({"batch": 16.0, "rate": 16.0, "odd": 0.5}, ["batch", "odd"])
    assert [str(value) for value in given.values()] == ["16", "16.0", "0.5"]


@pytest.mark.parametrize(
    ("kind", "distribution"),
    [
        ("grid", {"type": "uniform", "min_value": 0, "max_value": 1}),
        ("bayesian", {"type": "normal", "mu": 0, "sigma": 1}),
    ],
)
def test_a_space_that_the_sampling_cannot_draw_from_is_refused_by_name(
    kind: str, distribution: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match=r"rate \(" + distribution["type"]):
        sampler_of(sweep({"rate": distribution}, type=kind))


def test_a_grid_refuses_what_a_nested_space_varies_without_end() -> None:
    with pytest.raises(InvalidRequest, match=r"model\.1\.penalty \(uniform\)"):
        sampler_of(sweep(CONDITIONAL, type="grid"))


def test_a_failed_trial_does_not_end_the_sampling() -> None:
    sampler = sampler_of(sweep({"x": {"type": "choice", "values": [1, 2]}}, type="bayesian"))
    first = sampler.ask()
    assert isinstance(first, Trial)
    sampler.tell(first, None)
    assert sampler.ask() is not None


@pytest.mark.parametrize(
    ("policy", "ended"),
    [
        (None, []),
        ({"type": "bandit", "slack_factor": 0.5}, [3]),
        ({"type": "bandit", "slack_amount": 0.05}, [2, 3]),
        ({"type": "bandit", "slack_factor": 0.5, "delay_evaluation": 2}, [3]),
        ({"type": "bandit", "slack_factor": 0.5, "delay_evaluation": 3}, []),
        ({"type": "bandit", "slack_factor": 0.5, "evaluation_interval": 2}, [3]),
        ({"type": "bandit", "slack_factor": 0.5, "evaluation_interval": 3}, []),
        ({"type": "median_stopping"}, [2, 3]),
        ({"type": "truncation_selection", "truncation_percentage": 25}, [3]),
        ({"type": "truncation_selection", "truncation_percentage": 50}, [2, 3]),
        ({"type": "truncation_selection", "truncation_percentage": 20}, []),
    ],
)
def test_a_policy_ends_the_trials_that_fall_behind(
    policy: dict[str, Any] | None, ended: list[int]
) -> None:
    logged = {0: [0.9, 0.9], 1: [0.85, 0.88], 2: [0.7, 0.7], 3: [0.1, 0.2]}
    assert to_end(policy, "maximize", logged, [1, 2, 3]) == ended
    falling = {trial: [1 / value for value in values] for trial, values in logged.items()}
    if policy is None or "slack_amount" not in policy:
        assert to_end(policy, "minimize", falling, [1, 2, 3]) == ended


def test_the_median_is_over_all_trials_the_one_that_is_judged_too() -> None:
    logged = {0: [0.9], 1: [0.5], 2: [0.6]}
    assert to_end({"type": "median_stopping"}, "maximize", logged, [0, 1, 2]) == [1]


def test_a_trial_that_has_logged_nothing_is_never_ended() -> None:
    assert to_end({"type": "bandit", "slack_factor": 0.1}, "maximize", {0: [1.0], 1: []}, [1]) == []


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_trial_is_within_the_slack_whatever_the_sign_of_its_metric(
    goal: Any, sign: int
) -> None:
    logged = {0: [sign * 10.0], 1: [sign * 11.0], 2: [sign * 100.0], 3: [sign * 1.0]}
    ended = to_end({"type": "bandit", "slack_factor": 0.2}, goal, logged, [0, 1, 2, 3])
    best = (max if goal == "maximize" else min)(logged, key=lambda trial: logged[trial])
    assert ended == [trial for trial in logged if trial != best]


def test_a_trial_is_judged_at_every_interval_that_nobody_looked_at() -> None:
    policy = {"type": "bandit", "slack_amount": 0.1, "evaluation_interval": 2}
    logged = {0: [0.9, 0.9, 0.9], 1: [0.1, 0.2, 0.9]}
    assert fallen_behind(policy, "maximize", logged, {1: 0}) == [1]
    assert fallen_behind(policy, "maximize", logged, {1: 2}) == []
