"""The workspace as a Dagster resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from mlops_dagster.workspace import Workspace, connect


class WorkspaceResource(dg.ConfigurableResource[Workspace]):
    """The Azure ML workspace in which a project's jobs run.

    Attributes:
        folder: the project's.
        name: ``local`` ...; None for what ``MLOPS_WORKSPACE`` says.
    """

    folder: str
    name: str | None = None

    @contextmanager
    def connection(self) -> Iterator[Workspace]:
        """Connect for as long as one step of a run takes."""
        workspace = connect(self.name, project=Path(self.folder))
        try:
            yield workspace
        finally:
            workspace.close()
