"""The rules that a model version must pass to become the champion. Pure, and exact about NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from mlops_dagster.project import Model


@dataclass(frozen=True)
class Verdict:
    """What one rule said.

    Attributes:
        rule: in words.
        found, needed: the figures, as text.
    """

    rule: str
    found: str
    needed: str
    passed: bool


def judge(
    model: Model, candidate: Mapping[str, float], champion: Mapping[str, float] | None
) -> list[Verdict]:
    """Hold a version's metrics against the bound, the baseline and the champion.

    Args:
        champion: the champion's metrics as they were recorded; None where there is none yet.

    A metric that is missing, or NaN, fails every rule that reads it.
    """
    value = candidate.get(model.metric)
    verdicts = []
    if value is None:
        return [Verdict(f"{model.metric} was logged", "nothing", "a value", passed=False)]
    if model.bound is not None:
        verdicts.append(_compared(model, f"{model.metric} reaches the bound", value, model.bound))
    if model.baseline is not None and model.baseline in candidate:
        rule = f"{model.metric} is not worse than {model.baseline}"
        verdicts.append(_compared(model, rule, value, candidate[model.baseline]))
    if champion is not None:
        rule = f"{model.metric} is not worse than the champion's"
        theirs = champion.get(model.metric)
        if theirs is None:
            verdicts.append(Verdict(rule, _figure(value), "not recorded", passed=False))
        else:
            slack = -model.tolerance if model.maximize else model.tolerance
            verdicts.append(_compared(model, rule, value, theirs + slack))
    return verdicts or [
        Verdict(f"{model.metric} is a number", _figure(value), "a number", not isnan(value))
    ]


def _compared(model: Model, rule: str, value: float, limit: float) -> Verdict:
    passed = value >= limit if model.maximize else value <= limit
    sign = "≥" if model.maximize else "≤"
    return Verdict(rule, _figure(value), f"{sign} {_figure(limit)}", passed)


def _figure(value: float) -> str:
    return f"{value:.6g}"
