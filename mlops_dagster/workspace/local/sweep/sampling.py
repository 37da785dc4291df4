"""The order in which a sweep's trials are drawn: grid, random, Sobol and Bayesian.

Source: learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters, "Sampling the
hyperparameter space". The drawing itself is Optuna's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlops_dagster.aml.io import Scalar
from mlops_dagster.aml.job import Sweep
from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.sweep.search_space import Space, choices, draw, names_of

if TYPE_CHECKING:
    import optuna

_BAYESIAN = frozenset({"choice", "uniform", "quniform"})


@dataclass(frozen=True)
class Trial:
    """One point of the search space, counted from 0."""

    number: int
    values: dict[str, Scalar]


class Sampler(Protocol):
    """Draws trials and learns from how they ended."""

    def ask(self) -> Trial | None:
        """The next trial; None when the space is used up."""

    def tell(self, trial: Trial, metric: float | None) -> None:
        """How a trial ended; None where it brought no metric."""


def sampler_of(sweep: Sweep) -> Sampler:
    """The sampler that a sweep asks for.

    Raises InvalidRequest where it cannot draw from the search space: a grid takes choices only,
    Bayesian sampling choices, ``uniform`` and ``quniform``.
    """
    kind = str(sweep.sampling.get("type", "random"))
    kinds = {name: str(d["type"]) for name, d in sweep.search_space.items()}
    if kind == "grid":
        _refuse(kind, {name: of for name, of in kinds.items() if of != "choice"}, "choice")
        return _Grid(sweep.search_space)
    if kind == "bayesian":
        unfit = {name: of for name, of in kinds.items() if of not in _BAYESIAN}
        _refuse(kind, unfit, "choice, uniform and quniform")
    if sweep.sampling.get("rule") == "sobol":
        return _Sobol(sweep)
    return _Drawn(sweep, kind)


def _seed(sweep: Sweep) -> int | None:
    return int(sweep.sampling["seed"]) if sweep.sampling.get("seed") is not None else None


def _refuse(sampling: str, unfit: dict[str, str], allowed: str) -> None:
    if unfit:
        named = ", ".join(f"{name} ({kind})" for name, kind in sorted(unfit.items()))
        raise InvalidRequest(
            f"The sweep's {sampling} sampling cannot draw from {named}.",
            remedy=f"It takes {allowed} only; use random sampling for the others.",
        )


class _Grid:
    def __init__(self, space: Space) -> None:
        self._names = list(space)
        self._points: Iterator[tuple[int, tuple[Scalar, ...]]] = enumerate(
            itertools.product(*choices(space).values())
        )

    def ask(self) -> Trial | None:
        for number, values in self._points:
            return Trial(number, dict(zip(self._names, values, strict=True)))
        return None

    def tell(self, trial: Trial, metric: float | None) -> None:
        """A grid learns nothing."""


class _Sobol:
    """Trials along a Sobol sequence, a dimension to each distribution of the space.

    SciPy's own: Optuna learns a space from its first trial, which then stands outside the sequence.
    """

    def __init__(self, sweep: Sweep) -> None:
        from scipy.stats import qmc

        seed = _seed(sweep)
        self._space = sweep.search_space
        self._names = names_of(sweep.search_space)
        self._sequence = qmc.Sobol(d=len(self._names), scramble=seed is not None, rng=seed)
        self._count = itertools.count()

    def ask(self) -> Trial | None:
        shares = dict(zip(self._names, self._sequence.random(1)[0].tolist(), strict=True))
        return Trial(next(self._count), draw(self._space, _FromShares(shares)))

    def tell(self, trial: Trial, metric: float | None) -> None:
        """A sequence learns nothing."""


class _Drawn:
    """Trials that Optuna draws: at random, or where they promise most."""

    def __init__(self, sweep: Sweep, kind: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = sweep.search_space
        self._asked: dict[int, optuna.trial.Trial] = {}
        self._study = optuna.create_study(
            direction=sweep.goal, sampler=_optuna_sampler(kind, _seed(sweep))
        )

    def ask(self) -> Trial | None:
        trial = self._study.ask()
        self._asked[trial.number] = trial
        return Trial(trial.number, draw(self._space, _FromOptuna(trial)))

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
