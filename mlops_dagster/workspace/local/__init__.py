"""The workspace on this machine: no Azure, no container, no daemon.

``LocalWorkspace`` is what ``connect("local")`` opens. Its state lies in one folder
(``ground/state.py``). The rooms are floors: each knows only those below it.

::

    jobs/           jobs as people see them: submitted, resumed, scheduled; workspace.py, the whole
    running/        the detached runner of a plan: its steps, pipelines, sweeps
    planning/       from a job of the language to a plan: everything resolved, nothing started
    queue/          which job runs next, which one stands in for another, following a job
    kinds/          command, parallel, spark, sweep: what a plan keeps of each, and its processes
    parallel/       the driver of a parallel step, and its workers: a program apart
    tracking/       MLflow: one server a home, started when a job first speaks to it
    storage/        datastores, data assets, models, downloads, snapshots, what is removed and when
    software/       what a job's environment asks for, and an interpreter that has it
    records/        a job's row, log and name; compute targets and their nodes
    ground/         the state database, plans as values, addresses, substitutions, variables
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
