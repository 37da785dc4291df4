"""Search spaces: from a number between 0 and 1, or a choice, to an input's value.

Source of the distributions and their parameters: learn.microsoft.com/azure/machine-learning/
reference-yaml-job-sweep, "Parameter expressions for the search_space key".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any, Protocol

from mlops_dagster.aml.io import Scalar

Space = Mapping[str, Mapping[str, Any]]


class Draws(Protocol):
    """Where a sampler's numbers come from; each is asked for under a name of its own."""

    def index(self, name: str, count: int) -> int:
        """A whole number from 0 to ``count - 1``."""

    def share(self, name: str) -> float:
        """A number from 0 to 1."""


def draw(space: Space, draws: Draws) -> dict[str, Scalar]:
    """One point of the space.

    A choice among mappings is a nested space: the one that is chosen brings its own inputs,
    under their own names, next to the choice's name where the mapping has a ``type``.
    """
    point: dict[str, Scalar] = {}
    for name, distribution in space.items():
        _draw_into(point, name, distribution, draws, prefix="")
    return point


def _draw_into(
    point: dict[str, Scalar],
    name: str,
    distribution: Mapping[str, Any],
    draws: Draws,
    prefix: str,
) -> None:
    asked = prefix + name
    kind = str(distribution["type"])
    if kind == "choice":
        values = list(distribution["values"])
        chosen = values[draws.index(asked, len(values))]
        if not isinstance(chosen, Mapping):
            point[name] = chosen
            return
        for inner, nested in chosen.items():
            if isinstance(nested, Mapping) and "type" in nested:
                _draw_into(point, inner, nested, draws, prefix=f"{asked}.{values.index(chosen)}.")
            else:
                point[inner] = nested
    elif kind == "randint":
        point[name] = draws.index(asked, int(distribution["upper"]))
    else:
        point[name] = _CONTINUOUS[kind](distribution, draws.share(asked))


def names_of(space: Space, prefix: str = "") -> list[str]:
    """The names under which a draw may be asked for, nested spaces included."""
    names: list[str] = []
    for name, distribution in space.items():
        names.append(prefix + name)
        for number, value in enumerate(distribution.get("values", ())):
            if isinstance(value, Mapping):
                inner = {k: v for k, v in value.items() if isinstance(v, Mapping) and "type" in v}
                names += names_of(inner, f"{prefix}{name}.{number}.")
    return names


def choices(space: Space) -> dict[str, list[Scalar]]:
    """The values of a space that holds nothing but plain choices."""
    return {name: list(distribution["values"]) for name, distribution in space.items()}


def _uniform(distribution: Mapping[str, Any], share: float) -> float:
    low, high = float(distribution["min_value"]), float(distribution["max_value"])
    return low + share * (high - low)


def _normal(distribution: Mapping[str, Any], share: float) -> float:
    inside = min(max(share, 1e-12), 1 - 1e-12)
    return NormalDist(float(distribution["mu"]), float(distribution["sigma"])).inv_cdf(inside)


def _stepped(value: float, distribution: Mapping[str, Any]) -> float:
    step = float(distribution["q"])
    return round(round(value / step) * step, 12)


_Continuous = Callable[[Mapping[str, Any], float], float]

# Add a distribution here: its name, and its value at a share of its probability.
_CONTINUOUS: dict[str, _Continuous] = {
    "uniform": _uniform,
    "quniform": lambda d, u: _stepped(_uniform(d, u), d),
    "loguniform": lambda d, u: math.exp(_uniform(d, u)),
    "qloguniform": lambda d, u: _stepped(math.exp(_uniform(d, u)), d),
    "normal": _normal,
    "qnormal": lambda d, u: _stepped(_normal(d, u), d),
    "lognormal": lambda d, u: math.exp(_normal(d, u)),
    "qlognormal": lambda d, u: _stepped(math.exp(_normal(d, u)), d),
}
