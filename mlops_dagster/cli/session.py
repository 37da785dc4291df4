"""What a command works on: the project around a file or the current directory, and a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mlops_dagster.cli.formats import Format
from mlops_dagster.workspace.ports import JobOptions

if TYPE_CHECKING:
    from mlops_dagster.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """The options of one call that every command has.

    Attributes:
        workspace: the workspace's name; None for the default one.
        output: the form in which data is printed; None where none was asked for.
        query: the JMESPath query that chooses what is printed of it.
    """

    workspace: str | None = None
    output: Format | None = None
    query: str | None = None

    @property
    def form(self) -> Format:
        """The form in which data is printed: what a query chooses is JSON, as in ``az``."""
        return self.output or (Format.TABLE if self.query is None else Format.JSON)

    @property
    def prints_table(self) -> bool:
        """Whether the command prints for people, in tables and words of its own."""
        return self.form is Format.TABLE and self.query is None

    @property
    def chosen(self) -> str:
        """The name of the workspace that ``open`` opens."""
        from mlops_dagster.workspace import chosen_workspace

        return self.workspace or chosen_workspace()

    @contextmanager
    def open(
        self,
        start: Path | None = None,
        options: JobOptions = JobOptions(),  # noqa: B008 - frozen
    ) -> Iterator[Workspace]:
        """The workspace of the project around ``start`` (by default the current directory).

        Raises NotFound where there is no such workspace, Unsupported where it does not have one of
        the options, WorkspaceUnavailable where its state cannot be used.
        """
        from mlops_dagster.home import find_project
        from mlops_dagster.workspace import connect

        workspace = connect(self.workspace, project=find_project(start), options=options)
        try:
            yield workspace
        finally:
            workspace.close()


def session(context: typer.Context) -> Session:
    """The session that the global options made."""
    found = context.obj
    return found if isinstance(found, Session) else Session()
