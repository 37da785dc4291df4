"""What a sweep looks for, as a plan keeps it.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_dagster.workspace.local.kinds.sweep.search_space import Space

# Azure ML's default.
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
