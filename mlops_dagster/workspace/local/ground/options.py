"""How a job is planned, beyond what its YAML says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mlops_dagster.workspace.local.ground.substitutions import Substitutions


@dataclass(frozen=True)
class PlanOptions:
    """``ports.JobOptions``, with the substitutions read.

    Attributes:
        isolate: every step is to run in a virtual environment of its own, where its environment
            says what is in it.
        substitutions: what stands in for what is not here.
        variables_digest: tells the environment variables that the home's file names from others.
        notify: is called with what is worth knowing beforehand: missing packages, downloads ...
    """

    isolate: bool = False
    substitutions: Substitutions = field(default_factory=Substitutions)
    variables_digest: str | None = None
    notify: Callable[[str], None] = lambda _: None
