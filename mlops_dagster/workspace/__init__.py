"""The door to an Azure ML workspace, here or on Azure."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import cast

from mlops_dagster.errors import NotFound
from mlops_dagster.workspace.ports import Workspace

__all__ = ["Workspace", "chosen_workspace", "connect"]

# A new place to run: one folder beside local/, one line here, and the contract suite.
_WORKSPACES = {
    "local": "mlops_dagster.workspace.local:LocalWorkspace",
}


def chosen_workspace() -> str:
    """The name of the workspace in which jobs run: what ``MLOPS_WORKSPACE`` says, else ``local``."""
    return os.environ.get("MLOPS_WORKSPACE") or "local"


def connect(name: str | None = None, *, project: Path | None = None) -> Workspace:
    """Open the workspace in which a project's jobs run.

    Args:
        name: ``local``; by default what ``MLOPS_WORKSPACE`` says, else ``local``.
        project: the project's folder, whose ``.cloud/<name>`` describes its compute targets and
            datastores; None where there is no project at hand.

    Raises:
        NotFound: there is no such workspace.
    """
    chosen = name or chosen_workspace()
    if chosen not in _WORKSPACES:
        raise NotFound("workspace", chosen, known=tuple(_WORKSPACES))
    module, _, attribute = _WORKSPACES[chosen].partition(":")
    adapter = getattr(import_module(module), attribute)
    return cast(Workspace, adapter.open(project=project))
