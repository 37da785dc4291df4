"""The rules that a model version must pass to become the champion. Pure, and exact about NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from mlops_dagster.project import Model


@dataclass(frozen=True)
class RuleResult:
    """Whether a model version passes one rule of the gate.

    Attributes:
        rule: the rule as a sentence, such as ``auc reaches the bound``.
        compared_with: ``bound``, the baseline's metric, ``champion's auc``; empty for no comparison.
        value: the version's metric; None where it was not logged.
        limit: the figure that the metric is compared with; None where there is none.
        required: what the rule asks for, such as ``≥ 0.65``.
    """

    rule: str
    value: float | None
    limit: float | None
    required: str
    passed: bool
    compared_with: str = ""


def gate_results(
    model: Model, metrics: Mapping[str, float], champion: Mapping[str, float] | None
) -> list[RuleResult]:
    """Compare a version's metrics with the bound, the baseline and the champion.

    Args:
        metrics: the version's.
        champion: the champion's metrics as they were recorded; None where there is none yet.

    A metric that is missing, or NaN, fails every rule that reads it.
    """
    value = metrics.get(model.metric)
    if value is None:
        return [RuleResult(f"{model.metric} was logged", None, None, "a value", passed=False)]
    results = []
    if model.bound is not None:
        rule = f"{model.metric} reaches the bound"
        results.append(_comparison(model, rule, value, model.bound, "bound"))
    if model.baseline is not None and model.baseline in metrics:
        rule = f"{model.metric} is not worse than {model.baseline}"
        results.append(_comparison(model, rule, value, metrics[model.baseline], model.baseline))
    if champion is not None:
        rule = f"{model.metric} is not worse than the champion's"
        if model.metric in champion:
            slack = -model.tolerance if model.maximize else model.tolerance
            limit = champion[model.metric] + slack
            results.append(_comparison(model, rule, value, limit, f"champion's {model.metric}"))
        else:
            required = "the champion's, which was not recorded"
            results.append(RuleResult(rule, value, None, required, passed=False))
    if results:
        return results
    rule = f"{model.metric} is a number"
    return [RuleResult(rule, value, None, "a number", passed=not isnan(value))]


def _comparison(
    model: Model, rule: str, value: float, limit: float, compared_with: str
) -> RuleResult:
    passed = value >= limit if model.maximize else value <= limit
    sign = "≥" if model.maximize else "≤"
    return RuleResult(rule, value, limit, f"{sign} {limit:.6g}", passed, compared_with)
