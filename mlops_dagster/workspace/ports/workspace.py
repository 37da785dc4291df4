"""A workspace: its jobs, compute, data, models and schedules."""

from __future__ import annotations

from typing import Protocol

from mlops_dagster.workspace.ports.compute import Compute
from mlops_dagster.workspace.ports.data import Data
from mlops_dagster.workspace.ports.jobs import Jobs
from mlops_dagster.workspace.ports.models import Models
from mlops_dagster.workspace.ports.schedules import Schedules


class Workspace(Protocol):
    """A workspace, local or on Azure."""

    @property
    def name(self) -> str: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def compute(self) -> Compute: ...

    @property
    def data(self) -> Data: ...

    @property
    def models(self) -> Models: ...

    @property
    def schedules(self) -> Schedules: ...

    def close(self) -> None:
        """Give back what this process holds; jobs go on."""
