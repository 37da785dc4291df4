"""Opens an Azure ML workspace: `ports` is what each of them promises, `local` is this machine's."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import cast

from mlops_dagster.errors import NotFound
from mlops_dagster.workspace.ports import JobOptions, Workspace

__all__ = [
    "JobOptions",
    "Workspace",
    "chosen_workspace",
    "connect",
    "workspace_names",
    "workspace_type",
]

# A new place to run: one folder beside local/, one line here, and the contract suite.
_WORKSPACES = {
    "local": "mlops_dagster.workspace.local:LocalWorkspace",
}


def chosen_workspace() -> str:
    """The name of the workspace in which jobs run: what ``MLOPS_WORKSPACE`` says, else ``local``."""
    return os.environ.get("MLOPS_WORKSPACE") or "local"


def workspace_names() -> tuple[str, ...]:
    """The workspaces that can be opened."""
    return tuple(_WORKSPACES)


def workspace_type(name: str | None = None) -> type[Workspace]:
    """The class of a workspace, which answers what can be known before one is opened.

    Raises NotFound as ``connect`` does.
    """
    chosen = name or chosen_workspace()
    if chosen not in _WORKSPACES:
        raise NotFound("workspace", chosen, known=workspace_names())
    module, _, attribute = _WORKSPACES[chosen].partition(":")
    return cast(type[Workspace], getattr(import_module(module), attribute))


def connect(
    name: str | None = None,
    *,
    project: Path | None = None,
    options: JobOptions = JobOptions(),  # noqa: B008 - frozen
) -> Workspace:
    """Open the workspace in which a project's jobs run.

    Args:
        name: ``local``; by default what ``MLOPS_WORKSPACE`` says, else ``local``.
        project: the project's folder, whose ``.cloud/<name>`` describes its compute targets and
            datastores; None where there is no project at hand.
        options: how the jobs that are submitted run, beyond what their YAML says.

    Raises:
        NotFound: there is no such workspace.
        Unsupported: it does not have one of the options.
    """
    return workspace_type(name).open(project=project, options=options)
