"""The door from a notebook or a script to the workspace of its project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.home import PROJECT_FILE, find_project

if TYPE_CHECKING:
    from mlops_dagster.workspace import JobOptions, Workspace


def connect(
    name: str | None = None,
    *,
    project: Path | str | None = None,
    options: JobOptions | None = None,
) -> Workspace:
    """Open the workspace in which a project's jobs run.

    Args:
        name: ``local``; by default what ``MLOPS_WORKSPACE`` says, else ``local``.
        project: the project's folder, whose ``.cloud/<name>`` describes its compute targets and
            datastores; by default the one around the current directory, such as a notebook's.
            Without one, every compute name stands for this machine.
        options: how the jobs that are submitted run, beyond what their YAML says.

    Raises:
        NotFound: there is no such workspace, or no project in the folder that was given.
        Unsupported: the workspace does not have one of the options.
    """
    from mlops_dagster import workspace
    from mlops_dagster.errors import NotFound

    folder = Path(project).expanduser().absolute() if project is not None else find_project()
    if project is not None and folder is not None and not (folder / PROJECT_FILE).is_file():
        raise NotFound("project", str(folder), remedy=f"Name a folder that holds a {PROJECT_FILE}.")
    return workspace.connect(name, project=folder, options=options or workspace.JobOptions())
