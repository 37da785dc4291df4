"""The workspace on this machine: no Azure, no container, no daemon.

``LocalWorkspace`` is what ``connect("local")`` opens. Its state lies in one folder (``state.py``).

::

    planning/       from a job of the language to a plan: everything resolved, nothing started
    jobs/           jobs as rows: submitted, queued, followed, reused, resumed, scheduled
    running/        the detached runner of a plan, and the kinds of work that it carries out
    sweep/          trials of a sweep, and which is the best
    parallel/       the driver of a parallel step, and its workers
    environments/   what a job's environment asks for, and an interpreter that has it
    storage/        datastores, data assets, models, downloads
    tracking/       MLflow: one server a home, started when a job first speaks to it
    compute.py      compute targets and their nodes
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
