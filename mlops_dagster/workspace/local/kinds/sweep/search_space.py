"""Search spaces: from a number between 0 and 1, or a choice, to an input's value.

Source of the distributions and their parameters: learn.microsoft.com/azure/machine-learning/
reference-yaml-job-sweep, "Parameter expressions for the search_space key".
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from statistics import NormalDist
from typing import Any, Protocol

from mlops_dagster.workspace.local.ground.plan import Scalar

Space = Mapping[str, Mapping[str, Any]]

Point = Mapping[str, Any]
"""What was drawn for each variable: a literal, or a point of a nested space."""


class Draws(Protocol):
    """Where a sampler's numbers come from; each is asked for under a name of its own."""

    def index(self, name: str, count: int) -> int:
        """A whole number from 0 to ``count - 1``."""

    def share(self, name: str) -> float:
        """A number from 0 to 1."""


def draw(space: Space, draws: Draws, *, base: float = math.e) -> Point:
    """One point of the space; ``base`` is what the log distributions raise to a power.

    What is drawn for a choice among mappings is the chosen one, a nested space of which every
    distribution was drawn in turn.
    """
    return {name: _drawn(name, distribution, draws, base) for name, distribution in space.items()}


def _drawn(asked: str, distribution: Mapping[str, Any], draws: Draws, base: float) -> Any:
    kind = str(distribution["type"])
    if kind == "choice":
        values = list(distribution["values"])
        index = draws.index(asked, len(values))
        chosen = values[index]
        if not isinstance(chosen, Mapping):
            return chosen
        return {
            name: _drawn(f"{asked}.{index}.{name}", inner, draws, base)
            if isinstance(inner, Mapping)
            else inner
            for name, inner in chosen.items()
        }
    if kind == "randint":
        return draws.index(asked, int(distribution["upper"]))
    return _continuous(kind, distribution, draws.share(asked), base)


def distributions(space: Space) -> dict[str, Mapping[str, Any]]:
    """Every distribution of a space, nested ones included, by the name a draw is asked for under."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, distribution in space.items():
        found[name] = distribution
        for number, value in enumerate(distribution.get("values", ())):
            if isinstance(value, Mapping):
                inner = distributions(_varying(value))
                found |= {f"{name}.{number}.{key}": of for key, of in inner.items()}
    return found


def combinations(space: Space) -> Iterator[Point]:
    """Every point of a space that holds nothing but choices."""
    options = [list(_options(distribution)) for distribution in space.values()]
    for values in itertools.product(*options):
        yield dict(zip(space, values, strict=True))


def _options(distribution: Mapping[str, Any]) -> Iterator[Any]:
    for value in distribution["values"]:
        if isinstance(value, Mapping):
            for point in combinations(_varying(value)):
                yield {name: point.get(name, fixed) for name, fixed in value.items()}
        else:
            yield value


def _varying(chosen: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The distributions among the fields of a nested space; the others are literals."""
    return {name: inner for name, inner in chosen.items() if isinstance(inner, Mapping)}


def names_given(space: Space) -> set[str]:
    """The names of all inputs that a point of the space may give."""
    return {asked.rpartition(".")[2] for asked in distributions(space)} | {
        name
        for distribution in distributions(space).values()
        for value in distribution.get("values", ())
        if isinstance(value, Mapping)
        for name in value
    }


def literals(point: Point, integers: Collection[str] = ()) -> dict[str, Scalar]:
    """What a trial's command is given: a nested space as JSON text, and each of its fields too.

    Args:
        integers: inputs for which 16.0, as a ``q`` form draws it, is 16.
    """
    found: dict[str, Scalar] = {}
    for value in point.values():
        if isinstance(value, Mapping):
            found |= literals(value, integers)
    for name, value in point.items():
        if isinstance(value, Mapping):
            found[name] = json.dumps(value)
        elif name in integers and isinstance(value, float) and value.is_integer():
            found[name] = int(value)
        else:
            found[name] = value
    return found


def _continuous(kind: str, distribution: Mapping[str, Any], share: float, base: float) -> float:
    of = kind.removeprefix("q")
    value = _LINEAR[of.removeprefix("log")](distribution, share)
    if of.startswith("log"):
        value = math.exp(value * math.log(base))
    return _stepped(value, distribution) if kind.startswith("q") else value


def _uniform(distribution: Mapping[str, Any], share: float) -> float:
    low, high = float(distribution["min_value"]), float(distribution["max_value"])
    return low + share * (high - low)


def _normal(distribution: Mapping[str, Any], share: float) -> float:
    inside = min(max(share, 1e-12), 1 - 1e-12)
    return NormalDist(float(distribution["mu"]), float(distribution["sigma"])).inv_cdf(inside)


def _stepped(value: float, distribution: Mapping[str, Any]) -> float:
    step = float(distribution["q"])
    return round(round(value / step) * step, 12)


# Add a distribution here: its value at a share of its probability. A name's ``log`` in front makes
# the value an exponent, ``q`` rounds it.
_LINEAR: dict[str, Callable[[Mapping[str, Any], float], float]] = {
    "uniform": _uniform,
    "normal": _normal,
}
