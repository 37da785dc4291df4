"""What MLflow is told of a job; apart, so that a job that never talks to MLflow loads no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tracking:
    """What MLflow is to know of a job."""

    job: str
    parent: str | None
    experiment: str
    display_name: str
