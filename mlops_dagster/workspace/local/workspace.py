"""The local workspace as one object: its rooms, opened over one home."""

from __future__ import annotations

from pathlib import Path

from mlops_dagster.home import find_home
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.jobs.jobs import LocalJobs
from mlops_dagster.workspace.local.jobs.schedules import LocalSchedules
from mlops_dagster.workspace.local.records.compute import LocalCompute
from mlops_dagster.workspace.local.records.jobs import origin
from mlops_dagster.workspace.local.storage.data import LocalData
from mlops_dagster.workspace.local.storage.models import LocalModels
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import Workspace


class LocalWorkspace(Workspace):
    """A workspace on this machine, with its state in one folder.

    Args:
        home: the state folder; see ``workspace.home`` for how it is chosen.
        cloud: a project's ``.cloud/local``, which declares its compute targets and datastores.
        project: that project's folder, in which registered components are looked up.

    Raises:
        WorkspaceUnavailable: the state cannot be read or written.
    """

    def __init__(self, home: Path, cloud: Path | None = None, project: Path | None = None) -> None:
        self._state = State(home.absolute())
        storage = Storage(self._state, cloud)
        self._compute = LocalCompute(self._state, cloud)
        self._data = LocalData(self._state, storage)
        self._models = LocalModels(self._state, storage)
        self._jobs = LocalJobs(self._state, storage, self._compute, project)
        self._schedules = LocalSchedules(self._state, self._jobs, cloud)
        self._models.origin = lambda job: origin(self._state, job)

    @classmethod
    def open(cls, *, project: Path | None = None) -> LocalWorkspace:
        """The workspace of a project's folder, or of the current directory."""
        if project is None:
            return cls(find_home())
        project = project.absolute()
        return cls(find_home(project), project / ".cloud" / "local", project)

    @property
    def name(self) -> str:
        return "local"

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
        """End what runs in the background for this home: the tracking server. Jobs go on."""
        from mlops_dagster.workspace.local.tracking import stop

        stop(self.home)

    def close(self) -> None:
        self._state.close()
