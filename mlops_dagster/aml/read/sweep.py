"""Sweeps: a command that is tried over a search space.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

from typing import Any, Literal, cast

from mlops_dagster.aml.document import short_repr
from mlops_dagster.aml.job import Sweep, SweepLimits
from mlops_dagster.aml.node import Node

FIELDS = (
    "trial", "sampling_algorithm", "search_space", "objective", "early_termination", "limits",
    "queue_settings", "resources",
)  # fmt: skip
_UNIFORM = ("min_value", "max_value")
_NORMAL = ("mu", "sigma")
_DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "choice": ("values",),
    "uniform": _UNIFORM,
    "loguniform": _UNIFORM,
    "quniform": (*_UNIFORM, "q"),
    "qloguniform": (*_UNIFORM, "q"),
    "normal": _NORMAL,
    "lognormal": _NORMAL,
    "qnormal": (*_NORMAL, "q"),
    "qlognormal": (*_NORMAL, "q"),
    "randint": ("upper",),
}
_POLICIES = {
    "bandit": ("slack_factor", "slack_amount"),
    "median_stopping": (),
    "truncation_selection": ("truncation_percentage",),
}
_POLICY_NAMES = {"medianstopping": "median_stopping", "truncationselection": "truncation_selection"}


def read_sweep(node: Node) -> Sweep | None:
    """What a sweep varies, how it samples, and what it looks for."""
    space = {name: _distribution(entry) for name, entry in node.entries("search_space")}
    if not space:
        node.at("search_space").add_problem(
            "There is nothing to vary.", "Name inputs and their ranges."
        )
    objective = node.required("objective")
    if objective.expect_mapping():
        objective.check_fields(("goal", "primary_metric"))
    metric = objective.required("primary_metric").as_text() if objective.is_set else None
    goal = objective.choice("goal", ("minimize", "maximize"))
    if objective.is_set and not objective.at("goal").is_set:
        objective.required("goal")
    limits = _limits(node.required("limits"))
    sampling = _sampling(node.at("sampling_algorithm"))
    policy = _policy(node.at("early_termination"))
    if metric is None or goal is None:
        return None
    return Sweep(
        search_space={name: found for name, found in space.items() if found is not None},
        sampling=sampling,
        goal=cast("Literal['minimize', 'maximize']", goal),
        primary_metric=metric,
        limits=limits,
        early_termination=policy,
    )


def _distribution(node: Node) -> dict[str, Any] | None:
    if not node.is_set:
        node.add_problem(
            "Nothing is given for this variable.", "Write {type: choice, values: [...]}."
        )
    if not node.expect_mapping():
        return None
    kind = node.choice("type", _DISTRIBUTIONS)
    if kind is None:
        if not node.at("type").is_set:
            node.required("type")
        return None
    needed = _DISTRIBUTIONS[kind]
    node.check_fields(("type", *needed))
    found: dict[str, Any] = {"type": kind}
    for name in needed:
        if not node.required(name).is_set:
            return None
        if name == "values":
            found[name] = [_choice_value(item) for item in node.items(name)]
            if not found[name]:
                node.at(name).add_mismatch("at least one value")
        elif name == "upper":
            found[name] = node.integer(name)
        else:
            found[name] = _read_number(node.at(name))
        if found[name] is None:
            return None
    _check_order(node, found)
    return found


def _check_order(node: Node, found: dict[str, Any]) -> None:
    if "min_value" in found and found["min_value"] > found["max_value"]:
        node.at("min_value").add_problem(
            f"The least value {found['min_value']} is above the greatest {found['max_value']}."
        )
    if found.get("sigma", 0) < 0 or found.get("q", 1) <= 0 or found.get("upper", 1) < 1:
        key = next(name for name in ("upper", "q", "sigma") if name in found)
        node.at(key).add_mismatch("a positive number")


def _choice_value(item: Node) -> Any:
    """A value of a choice; a mapping is a conditional space, whose fields vary in turn."""
    if not isinstance(item.data, dict):
        if item.data is None or isinstance(item.data, list):
            item.add_mismatch("a literal")
        return item.data
    return {
        name: _distribution(entry) if isinstance(entry.data, dict) else entry.data
        for name, entry in item.entries()
    }


def _read_number(node: Node) -> int | float | None:
    if isinstance(node.data, int | float) and not isinstance(node.data, bool):
        return node.data
    try:
        return float(node.data)
    except (TypeError, ValueError):
        node.add_mismatch("a number")
        return None


def _sampling(node: Node) -> dict[str, Any]:
    kinds = ("random", "grid", "bayesian")
    if isinstance(node.data, str):
        if node.data.lower() not in kinds:
            node.add_mismatch(f"one of {', '.join(kinds)}")
        return {"type": node.data.lower()}
    if not node.expect_mapping():
        return {"type": "random"}
    node.check_fields(("type", "seed", "rule", "logbase"))
    found: dict[str, Any] = {"type": node.choice("type", kinds) or "random"}
    node.required("type")
    if (seed := node.integer("seed")) is not None:
        found["seed"] = seed
    if (rule := node.choice("rule", ("random", "sobol"))) is not None:
        found["rule"] = rule
    if node.at("logbase").is_set:
        found["logbase"] = node.at("logbase").data
    return found


def _limits(node: Node) -> SweepLimits:
    if not node.expect_mapping():
        return SweepLimits()
    node.check_fields(("max_total_trials", "max_concurrent_trials", "timeout", "trial_timeout"))
    node.required("max_total_trials")
    limits = {
        name: node.integer(name)
        for name in ("max_total_trials", "max_concurrent_trials", "timeout", "trial_timeout")
    }
    for name, number in limits.items():
        if number is not None and number < 1:
            node.at(name).add_mismatch("at least 1")
    return SweepLimits(**limits)


def _policy(node: Node) -> dict[str, Any] | None:
    if not node.expect_mapping():
        return None
    node.required("type")
    kind = node.choice("type", _POLICIES, aliases=_POLICY_NAMES)
    if kind is None:
        return None
    node.check_fields(("type", "evaluation_interval", "delay_evaluation", *_POLICIES[kind]))
    found: dict[str, Any] = {"type": kind}
    for name in ("evaluation_interval", "delay_evaluation", "truncation_percentage"):
        if node.at(name).is_set:
            found[name] = node.integer(name)
    for name in ("slack_factor", "slack_amount"):
        if node.at(name).is_set:
            found[name] = node.number(name)
    if kind == "truncation_selection" and not node.at("truncation_percentage").is_set:
        node.required("truncation_percentage")
    if kind == "bandit" and not {"slack_factor", "slack_amount"} & found.keys():
        node.add_problem(
            f"A {short_repr(kind)} policy has a slack.", "Add `slack_factor:` or `slack_amount:`."
        )
    return found
