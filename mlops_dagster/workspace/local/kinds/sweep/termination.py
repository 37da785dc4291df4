"""Policies that end a trial before its time.

A trial's *interval* is one logging of the primary metric. Source of the rules:
learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters, "Early termination".
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Goal = Literal["minimize", "maximize"]
Logged = Mapping[int, Sequence[float]]

# A trial that logs faster than anybody looks is judged at its newest intervals only.
_INTERVALS_AT_ONCE = 20


def to_end(
    policy: Mapping[str, Any] | None, goal: Goal, logged: Logged, running: Sequence[int]
) -> list[int]:
    """The running trials that the policy ends now.

    Args:
        policy: as in the YAML; None ends nothing.
        goal: which way the metric is better.
        logged: every trial's values of the primary metric, oldest first, ended trials included.
        running: the trials that still run.
    """
    if policy is None:
        return []
    rule = _POLICIES[str(policy["type"])]
    return [
        trial
        for trial in running
        if _due(policy, len(logged.get(trial, ()))) and rule(policy, goal, logged, trial)
    ]


def fallen_behind(
    policy: Mapping[str, Any] | None, goal: Goal, logged: Logged, since: Mapping[int, int]
) -> list[int]:
    """The running trials that the policy ends, looked at once at every interval that is new.

    Args:
        since: the running trials, and how many values each had when it was last looked at.
    """
    return [
        trial
        for trial, seen in since.items()
        if any(
            to_end(policy, goal, {**logged, trial: logged[trial][:interval]}, [trial])
            for interval in _new_intervals(seen, len(logged.get(trial, ())))
        )
    ]


def _new_intervals(seen: int, now: int) -> range:
    return range(max(seen, now - _INTERVALS_AT_ONCE) + 1, now + 1)


def _due(policy: Mapping[str, Any], intervals: int) -> bool:
    """Whether this is a multiple of the evaluation interval, and not before the delay is over."""
    every = int(policy.get("evaluation_interval", 1) or 1)
    delay = int(policy.get("delay_evaluation", 0) or 0)
    return intervals > 0 and intervals >= delay and intervals % every == 0


def _bandit(policy: Mapping[str, Any], goal: Goal, logged: Logged, trial: int) -> bool:
    """Outside the slack of the best trial at the same interval."""
    interval = len(logged[trial])
    best = _best((_best(values[:interval], goal) for values in logged.values() if values), goal)
    own = _best(logged[trial], goal)
    if factor := float(policy.get("slack_factor") or 0):
        # Below zero a division would move the edge beyond the best itself.
        looser = (goal == "maximize") == (best < 0)
        slack = abs(best) * (factor if looser else factor / (1 + factor))
    else:
        slack = float(policy.get("slack_amount") or 0)
    return own < best - slack if goal == "maximize" else own > best + slack


def _median_stopping(_: Mapping[str, Any], goal: Goal, logged: Logged, trial: int) -> bool:
    """Its best is worse than the median of all running averages at the same interval, its own too."""
    interval = len(logged[trial])
    averages = [statistics.fmean(values[:interval]) for values in logged.values() if values]
    median, own = statistics.median(averages), _best(logged[trial], goal)
    return own < median if goal == "maximize" else own > median


def _truncation(policy: Mapping[str, Any], goal: Goal, logged: Logged, trial: int) -> bool:
    """Among the worst per cent of the trials that have come as far."""
    interval = len(logged[trial])
    peers = {
        other: values[interval - 1] for other, values in logged.items() if len(values) >= interval
    }
    share = float(policy.get("truncation_percentage", 10)) / 100
    ended = math.floor(len(peers) * share)
    worst_first = sorted(peers, key=lambda other: peers[other], reverse=goal == "minimize")
    return trial in worst_first[:ended]


def _best(values: Iterable[float], goal: Goal) -> float:
    return max(values) if goal == "maximize" else min(values)


_POLICIES = {
    "bandit": _bandit,
    "median_stopping": _median_stopping,
    "truncation_selection": _truncation,
}
