"""The workspace on this machine: no Azure, no container, no daemon.

``LocalWorkspace`` is what ``connect("local")`` opens. Its state lies in one folder (``state.py``);
jobs are detached processes (``queue.py``, ``runner.py``); data and models are files below the
datastores (``storage.py``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_dagster.workspace.local.workspace import LocalWorkspace

__all__ = ["LocalWorkspace"]


# Imported when asked for: the runner of a job starts without what only submitting a job needs.
def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mlops_dagster.workspace.local.workspace"), name)
