"""The local workspace as one object: its rooms, opened over one home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from mlops_dagster.errors import Problem
from mlops_dagster.home import find_home
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.jobs.jobs import LocalJobs
from mlops_dagster.workspace.local.jobs.schedules import LocalSchedules
from mlops_dagster.workspace.local.records.compute import LocalCompute
from mlops_dagster.workspace.local.records.jobs import origin
from mlops_dagster.workspace.local.storage.data import LocalData
from mlops_dagster.workspace.local.storage.models import LocalModels
from mlops_dagster.workspace.local.storage.retention import retention_days
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobOptions, Workspace

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Component, Job


class LocalWorkspace(Workspace):
    """A workspace on this machine, with its state in one folder.

    Args:
        home: the state folder; see ``mlops_dagster.home`` for how it is chosen.
        cloud: a project's ``.cloud/local``, which declares its compute targets and datastores.
        project: that project's folder, in which registered components are looked up.
        options: how the jobs that are submitted run.

    Raises:
        WorkspaceUnavailable: the state cannot be read or written.
        InvalidDocument: the home's ``retention.yml`` is wrong.
    """

    runs_schedules: ClassVar[bool] = False

    def __init__(
        self,
        home: Path,
        cloud: Path | None = None,
        project: Path | None = None,
        options: JobOptions = JobOptions(),  # noqa: B008 - frozen
    ) -> None:
        self._state = State(home.absolute())
        # A mistake is reported here, not by a runner in the background.
        retention_days(self._state.home)
        storage = Storage(self._state, cloud)
        self._compute = LocalCompute(self._state, cloud)
        self._data = LocalData(self._state, storage)
        self._models = LocalModels(self._state, storage)
        self._jobs = LocalJobs(self._state, storage, self._compute, project, options)
        self._schedules = LocalSchedules(self._state, self._jobs, cloud)
        self._models.origin = lambda job: origin(self._state, job)

    @classmethod
    def open(
        cls,
        *,
        project: Path | None = None,
        options: JobOptions = JobOptions(),  # noqa: B008 - frozen
    ) -> Self:
        if project is None:
            return cls(find_home(), options=options)
        project = project.absolute()
        return cls(find_home(project), project / ".cloud" / "local", project, options)

    @staticmethod
    def unsupported_problems(job: Job | Component) -> Sequence[Problem]:
        from mlops_dagster.workspace.local.planning.azure_only import unsupported_problems

        return unsupported_problems(job)

    @property
    def name(self) -> str:
        return "local"

    @property
    def variables(self) -> Mapping[str, str]:
        return {} if self.home == find_home() else {"MLOPS_HOME": str(self.home)}

    @property
    def home(self) -> Path:
        """The folder that holds its state."""
        return self._state.home

    @property
    def jobs(self) -> LocalJobs:
        return self._jobs

    @property
    def compute(self) -> LocalCompute:
        return self._compute

    @property
    def data(self) -> LocalData:
        return self._data

    @property
    def models(self) -> LocalModels:
        return self._models

    @property
    def schedules(self) -> LocalSchedules:
        return self._schedules

    def stop_services(self) -> None:
        from mlops_dagster.system import services

        services.stop_all(self.home)

    def close(self) -> None:
        self._state.close()
