"""What a command works on: the project around a file or the current directory, and a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mlops_dagster.workspace import Workspace

PROJECT_FILE = "project.yaml"


@dataclass(frozen=True)
class Session:
    """The global options of one call.

    Attributes:
        workspace: the workspace's name; None for the default one.
    """

    workspace: str | None = None

    @property
    def chosen(self) -> str:
        """The name of the workspace that ``open`` opens."""
        from mlops_dagster.workspace import chosen_workspace

        return self.workspace or chosen_workspace()

    @contextmanager
    def open(self, start: Path | None = None) -> Iterator[Workspace]:
        """The workspace of the project around ``start`` (by default the current directory).

        Raises NotFound where there is no such workspace, WorkspaceUnavailable where its state
        cannot be used.
        """
        from mlops_dagster.workspace import connect

        workspace = connect(self.workspace, project=find_project(start))
        try:
            yield workspace
        finally:
            workspace.close()


def session(context: typer.Context) -> Session:
    """The session that the global options made."""
    found = context.obj
    return found if isinstance(found, Session) else Session()


def find_project(start: Path | None = None) -> Path | None:
    """The nearest folder, from ``start`` upwards, that holds a project.yaml; None without one."""
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    return None


def find_root(start: Path | None = None) -> Path | None:
    """The nearest folder, from ``start`` upwards, that holds a workspace.yaml."""
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / "workspace.yaml").is_file():
            return folder
    return None
