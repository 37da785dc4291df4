"""Azure ML's YAML language as plain values: jobs, components, assets, bindings, graphs.

Nothing here knows Dagster or Azure, and nothing but YAML files is read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_dagster.aml.assets import ComputeAsset, DataAsset, ModelAsset, Schedule
    from mlops_dagster.aml.document_kind import kind_of
    from mlops_dagster.aml.environment import Environment
    from mlops_dagster.aml.job import Component, Job, PipelineComponent, Step
    from mlops_dagster.aml.load import (
        check,
        job_of,
        load_component,
        load_compute,
        load_data,
        load_environment,
        load_job,
        load_model,
        load_schedule,
        load_schedules,
        schedule_of,
    )

__all__ = [
    "load_job",
    "load_component",
    "load_data",
    "load_model",
    "load_environment",
    "load_compute",
    "load_schedule",
    "load_schedules",
    "check",
    "job_of",
    "kind_of",
    "schedule_of",
    "Job",
    "Step",
    "Component",
    "PipelineComponent",
    "Environment",
    "DataAsset",
    "ModelAsset",
    "ComputeAsset",
    "Schedule",
]

_HOMES = {
    "assets": ("ComputeAsset", "DataAsset", "ModelAsset", "Schedule"),
    "document_kind": ("kind_of",),
    "environment": ("Environment",),
    "job": ("Component", "Job", "PipelineComponent", "Step"),
}


# Imported when asked for: the runner of a job needs no more of the language than its bindings.
def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "load")
    return getattr(import_module(f"mlops_dagster.aml.{home}"), name)
