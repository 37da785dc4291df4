"""A workspace: its jobs, compute, data, models and schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from mlops_dagster.errors import Problem
from mlops_dagster.workspace.ports.compute import Compute
from mlops_dagster.workspace.ports.data import Data
from mlops_dagster.workspace.ports.jobs import Jobs
from mlops_dagster.workspace.ports.models import Models
from mlops_dagster.workspace.ports.schedules import Schedules

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Component, Job


@dataclass(frozen=True)
class JobOptions:
    """How the jobs that are submitted run, beyond what their YAML says.

    Attributes:
        isolate: each step runs in a virtual environment that is built from its conda file.
        substitutions: a file of what stands in for what is not on this machine, before the one
            that the workspace has of its own.
        notify: is called with what is worth knowing before a job starts, a line at a time.
    """

    isolate: bool = False
    substitutions: Path | None = None
    notify: Callable[[str], None] = lambda _: None


class Workspace(Protocol):
    """A workspace, local or on Azure.

    Attributes:
        runs_schedules: whether it starts the jobs of its schedules itself; if not, Dagster does.
    """

    runs_schedules: ClassVar[bool]

    @classmethod
    def open(cls, *, project: Path | None, options: JobOptions) -> Self:
        """Open the workspace of a project's folder, or that of the current directory.

        Raises Unsupported for options that this workspace does not have.
        """

    @staticmethod
    def unsupported_problems(job: Job | Component) -> Sequence[Problem]:
        """Every place in the files of a job or component that cannot run in such a workspace."""

    @property
    def name(self) -> str: ...

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables that make a command open it from the current directory.

        Empty where a command opens it without any.
        """

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

    def stop_services(self) -> None:
        """End what runs in the background for it on this machine; jobs go on."""

    def close(self) -> None:
        """Give back what this process holds; jobs go on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
