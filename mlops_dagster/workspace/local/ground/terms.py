"""How a job is to be taken in, beyond what its YAML says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mlops_dagster.workspace.local.ground.substitutions import Substitutions


@dataclass(frozen=True)
class Terms:
    """What whoever submits a job asks for.

    Attributes:
        isolate: every step is to run in a virtual environment of its own, where its environment
            says what is in it.
        substitutions: what stands in for what is not here.
        say: is told what is worth knowing beforehand: missing packages, downloads ...
    """

    isolate: bool = False
    substitutions: Substitutions = field(default_factory=Substitutions)
    say: Callable[[str], None] = lambda _: None
