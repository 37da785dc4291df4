"""Data-science projects on Azure Machine Learning, orchestrated by Dagster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_dagster.connection import connect
    from mlops_dagster.location import load_project

__all__ = ["connect", "load_project"]

# Imported when asked for: the runner of a job and the command line start without Dagster.
_HOMES = {"connect": "mlops_dagster.connection", "load_project": "mlops_dagster.location"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
