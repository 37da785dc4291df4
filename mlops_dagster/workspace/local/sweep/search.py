"""What a sweep looks for, as a plan keeps it; and the kind of job that a sweep is.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mlops_dagster.workspace.local.running import command
from mlops_dagster.workspace.local.sweep.search_space import Space

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Step

# As on Azure ML, where nothing else is said.
_MOST_TRIALS = 1000


@dataclass(frozen=True)
class Search:
    """The fields of ``aml.job.Sweep``, without its model: a runner does not load the language."""

    search_space: Space
    goal: Literal["minimize", "maximize"]
    primary_metric: str
    sampling: Mapping[str, Any] = field(default_factory=lambda: {"type": "random"})
    early_termination: Mapping[str, Any] | None = None
    max_total_trials: int = _MOST_TRIALS
    max_concurrent_trials: int | None = None
    timeout: int | None = None
    trial_timeout: int | None = None

    @property
    def sampling_type(self) -> str:
        """``random``, ``grid`` or ``bayesian``."""
        return str(self.sampling.get("type", "random"))

    @property
    def policy(self) -> str:
        """The early termination policy's name, for a message."""
        return str((self.early_termination or {}).get("type", "")).replace("_", " ")


def search_of(step: Step) -> Search:
    """What the sweep of a step looks for."""
    sweep = step.sweep
    assert sweep is not None  # noqa: S101 - the kind of the step says so
    limits = sweep.limits.model_dump(exclude_none=True)
    return Search(
        search_space=sweep.search_space,
        goal=sweep.goal,
        primary_metric=sweep.primary_metric,
        sampling=sweep.sampling,
        early_termination=sweep.early_termination,
        **limits,
    )


def body(step: Step, fill: Callable[[str], str]) -> dict[str, Any]:
    """The search, and what each trial runs.

    Raises InvalidRequest where the sampling cannot draw from the search space.
    """
    from mlops_dagster.workspace.local.sweep.sampling import check_sampling

    search = search_of(step)
    check_sampling(search)
    integers = [name for name, spec in step.component.inputs.items() if spec.type == "integer"]
    return {
        "search": asdict(search),
        "integers": integers,
        "trial": command.body(step, fill),
    }
