"""Compute targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ComputeTarget:
    """A compute target.

    Attributes:
        max_instances: nodes; as many single-node jobs run at once.
        busy, queued: nodes in use and jobs that wait, when it was asked.
    """

    name: str
    type: str
    max_instances: int
    size: str | None = None
    min_instances: int = 0
    state: str = "Succeeded"
    busy: int = 0
    queued: int = 0
    source: Path | None = None


class Compute(Protocol):
    """Compute targets of a workspace."""

    def get(self, name: str) -> ComputeTarget:
        """Raises NotFound."""

    def list(self) -> Sequence[ComputeTarget]:
        """All targets, by name."""
