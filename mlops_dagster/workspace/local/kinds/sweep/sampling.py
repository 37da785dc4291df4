"""The order in which a sweep's trials are drawn: grid, random, Sobol and Bayesian.

Source: learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters, "Sampling the
hyperparameter space". The drawing itself is Optuna's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.kinds.sweep.search import Search
from mlops_dagster.workspace.local.kinds.sweep.search_space import (
    Point,
    Space,
    combinations,
    distributions,
    draw,
)

if TYPE_CHECKING:
    import optuna

_ALLOWED = {"grid": ("choice",), "bayesian": ("choice", "uniform", "quniform")}


@dataclass(frozen=True)
class Trial:
    """One point of the search space, counted from 0."""

    number: int
    values: Point


class Sampler(Protocol):
    """Draws trials and learns from how they ended."""

    def ask(self) -> Trial | None:
        """The next trial; None when the space is used up."""

    def tell(self, trial: Trial, metric: float | None) -> None:
        """How a trial ended; None where it brought no metric."""


def check_sampling(search: Search) -> None:
    """Raise InvalidRequest where the sampling cannot draw from the search space.

    A grid takes choices only, Bayesian sampling choices, ``uniform`` and ``quniform``.
    """
    _base(search)
    allowed = _ALLOWED.get(search.sampling_type)
    if allowed is None:
        return
    kinds = {name: str(of["type"]) for name, of in distributions(search.search_space).items()}
    unfit = [f"{name} ({kind})" for name, kind in sorted(kinds.items()) if kind not in allowed]
    if unfit:
        raise InvalidRequest(
            f"The sweep's {search.sampling_type} sampling cannot draw from {', '.join(unfit)}.",
            remedy=f"It takes {', '.join(allowed)} only; use random sampling for the others.",
        )


def sampler_of(search: Search) -> Sampler:
    """The sampler that a sweep asks for; raises as ``check_sampling`` does."""
    check_sampling(search)
    if search.sampling_type == "grid":
        return _Grid(search.search_space)
    if search.sampling.get("rule") == "sobol":
        return _Sobol(search)
    return _Drawn(search)


def _base(search: Search) -> float:
    """The base of the log distributions, ``sampling_algorithm.logbase``."""
    given = search.sampling.get("logbase", "e")
    try:
        base = math.e if given == "e" else float(given)
    except (TypeError, ValueError):
        base = 0.0
    if not base > 0 or math.isinf(base):
        raise InvalidRequest(
            f"sampling_algorithm.logbase is {given!r}; a positive number or e is expected."
        )
    return base


def _seed(search: Search) -> int | None:
    return int(search.sampling["seed"]) if search.sampling.get("seed") is not None else None


class _Grid:
    def __init__(self, space: Space) -> None:
        self._points: Iterator[tuple[int, Point]] = enumerate(combinations(space))

    def ask(self) -> Trial | None:
        for number, values in self._points:
            return Trial(number, values)
        return None

    def tell(self, trial: Trial, metric: float | None) -> None:
        """A grid learns nothing."""


class _Sobol:
    """Trials along a Sobol sequence, a dimension to each distribution of the space.

    It is scrambled: unscrambled, it begins with the edge of every distribution, in every sweep.
    SciPy's own: Optuna learns a space from its first trial, which then stands outside the sequence.
    """

    def __init__(self, search: Search) -> None:
        from scipy.stats import qmc

        seed = _seed(search)
        self._space = search.search_space
        self._base = _base(search)
        self._names = list(distributions(search.search_space))
        self._sequence = qmc.Sobol(d=len(self._names), rng=seed)
        self._count = itertools.count()

    def ask(self) -> Trial | None:
        shares = dict(zip(self._names, self._sequence.random(1)[0].tolist(), strict=True))
        return Trial(next(self._count), draw(self._space, _FromShares(shares), base=self._base))

    def tell(self, trial: Trial, metric: float | None) -> None:
        """A sequence learns nothing."""


class _Drawn:
    """Trials that Optuna draws: at random, or where they promise most."""

    def __init__(self, search: Search) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = search.search_space
        self._base = _base(search)
        self._asked: dict[int, optuna.trial.Trial] = {}
        self._study = optuna.create_study(
            direction=search.goal, sampler=_optuna_sampler(search.sampling_type, _seed(search))
        )

    def ask(self) -> Trial | None:
        trial = self._study.ask()
        self._asked[trial.number] = trial
        return Trial(trial.number, draw(self._space, _FromOptuna(trial), base=self._base))

    def tell(self, trial: Trial, metric: float | None) -> None:
        from optuna.trial import TrialState

        asked = self._asked.pop(trial.number)
        state = TrialState.FAIL if metric is None else TrialState.COMPLETE
        self._study.tell(asked, metric, state=state)


def _optuna_sampler(kind: str, seed: int | None) -> optuna.samplers.BaseSampler:
    import optuna

    if kind == "bayesian":
        # Trials run side by side: the ones under way count as poor, so that no two are alike.
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


class _FromOptuna:
    def __init__(self, trial: optuna.trial.Trial) -> None:
        self._trial = trial

    def index(self, name: str, count: int) -> int:
        return self._trial.suggest_int(name, 0, count - 1)

    def share(self, name: str) -> float:
        return self._trial.suggest_float(name, 0.0, 1.0)


class _FromShares:
    def __init__(self, shares: dict[str, float]) -> None:
        self._shares = shares

    def index(self, name: str, count: int) -> int:
        return min(int(self._shares[name] * count), count - 1)

    def share(self, name: str) -> float:
        return self._shares[name]
