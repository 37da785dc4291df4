"""Sweeps: a command that is tried over a search space.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

from typing import Any, Literal, cast

from mlops_dagster.aml.document import shown
from mlops_dagster.aml.job import Sweep, SweepLimits
from mlops_dagster.aml.node import Part

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


def read_sweep(part: Part) -> Sweep | None:
    """What a sweep varies, how it samples, and what it looks for."""
    space = {name: _distribution(entry) for name, entry in part.entries("search_space")}
    if not space:
        part.at("search_space").problem(
            "There is nothing to vary.", "Name inputs and their ranges."
        )
    objective = part.required("objective")
    if objective.is_mapping():
        objective.fields(("goal", "primary_metric"))
    metric = objective.required("primary_metric").as_text() if objective.given else None
    goal = objective.choice("goal", ("minimize", "maximize"))
    if objective.given and not objective.at("goal").given:
        objective.required("goal")
    limits = _limits(part.required("limits"))
    sampling = _sampling(part.at("sampling_algorithm"))
    policy = _policy(part.at("early_termination"))
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


def _distribution(part: Part) -> dict[str, Any] | None:
    if not part.given:
        part.problem("Nothing is given for this variable.", "Write {type: choice, values: [...]}.")
    if not part.is_mapping():
        return None
    kind = part.choice("type", _DISTRIBUTIONS)
    if kind is None:
        if not part.at("type").given:
            part.required("type")
        return None
    needed = _DISTRIBUTIONS[kind]
    part.fields(("type", *needed))
    found: dict[str, Any] = {"type": kind}
    for name in needed:
        if not part.required(name).given:
            return None
        if name == "values":
            found[name] = [_value(item) for item in part.items(name)]
            if not found[name]:
                part.at(name).wrong("at least one value")
        elif name == "upper":
            found[name] = part.integer(name)
        else:
            found[name] = _number(part.at(name))
        if found[name] is None:
            return None
    _check_order(part, found)
    return found


def _check_order(part: Part, found: dict[str, Any]) -> None:
    if "min_value" in found and found["min_value"] > found["max_value"]:
        part.at("min_value").problem(
            f"The least value {found['min_value']} is above the greatest {found['max_value']}."
        )
    if found.get("sigma", 0) < 0 or found.get("q", 1) <= 0 or found.get("upper", 1) < 1:
        key = next(name for name in ("upper", "q", "sigma") if name in found)
        part.at(key).wrong("a positive number")


def _value(item: Part) -> Any:
    """A value of a choice; a mapping is a conditional space, whose fields vary in turn."""
    if not isinstance(item.data, dict):
        if item.data is None or isinstance(item.data, list):
            item.wrong("a literal")
        return item.data
    return {
        name: _distribution(entry) if isinstance(entry.data, dict) else entry.data
        for name, entry in item.entries()
    }


def _number(part: Part) -> int | float | None:
    if isinstance(part.data, int | float) and not isinstance(part.data, bool):
        return part.data
    try:
        return float(part.data)
    except (TypeError, ValueError):
        part.wrong("a number")
        return None


def _sampling(part: Part) -> dict[str, Any]:
    kinds = ("random", "grid", "bayesian")
    if isinstance(part.data, str):
        if part.data.lower() not in kinds:
            part.wrong(f"one of {', '.join(kinds)}")
        return {"type": part.data.lower()}
    if not part.is_mapping():
        return {"type": "random"}
    part.fields(("type", "seed", "rule", "logbase"))
    found: dict[str, Any] = {"type": part.choice("type", kinds) or "random"}
    part.required("type")
    if (seed := part.integer("seed")) is not None:
        found["seed"] = seed
    if (rule := part.choice("rule", ("random", "sobol"))) is not None:
        found["rule"] = rule
    if part.at("logbase").given:
        found["logbase"] = part.at("logbase").data
    return found


def _limits(part: Part) -> SweepLimits:
    if not part.is_mapping():
        return SweepLimits()
    part.fields(("max_total_trials", "max_concurrent_trials", "timeout", "trial_timeout"))
    part.required("max_total_trials")
    limits = {
        name: part.integer(name)
        for name in ("max_total_trials", "max_concurrent_trials", "timeout", "trial_timeout")
    }
    for name, number in limits.items():
        if number is not None and number < 1:
            part.at(name).wrong("at least 1")
    return SweepLimits(**limits)


def _policy(part: Part) -> dict[str, Any] | None:
    if not part.is_mapping():
        return None
    part.required("type")
    kind = part.choice("type", _POLICIES, aliases=_POLICY_NAMES)
    if kind is None:
        return None
    part.fields(("type", "evaluation_interval", "delay_evaluation", *_POLICIES[kind]))
    found: dict[str, Any] = {"type": kind}
    for name in ("evaluation_interval", "delay_evaluation", "truncation_percentage"):
        if part.at(name).given:
            found[name] = part.integer(name)
    for name in ("slack_factor", "slack_amount"):
        if part.at(name).given:
            found[name] = part.number(name)
    if kind == "truncation_selection" and not part.at("truncation_percentage").given:
        part.required("truncation_percentage")
    if kind == "bandit" and not {"slack_factor", "slack_amount"} & found.keys():
        part.problem(
            f"A {shown(kind)} policy has a slack.", "Add `slack_factor:` or `slack_amount:`."
        )
    return found
