"""The records of a workspace as Azure ML's command line prints them.

What Azure ML has a key for bears it (learn.microsoft.com/azure/machine-learning/reference-yaml-overview);
what only this workspace knows comes after it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import (
        ComputeTarget,
        DataVersion,
        JobRecord,
        ModelVersion,
        ScheduleRecord,
    )

# Azure ML's name for a sweep's property.
BEST_TRIAL = "best_child_run_id"


def job_data(record: JobRecord) -> dict[str, Any]:
    """A job as `az ml job show` prints it; with `step`, `duration`, `error` and the like of ours."""
    services = {"Tracking": {"endpoint": record.url, "type": "Tracking"}} if record.url else {}
    return {
        "name": record.name,
        "type": record.type,
        "status": record.status,
        "display_name": record.display_name,
        "description": record.description,
        "experiment_name": record.experiment,
        "compute": f"azureml:{record.compute}" if record.compute else None,
        "parent_job_name": record.parent,
        "inputs": inputs_of(record),
        "outputs": {
            name: {"type": output.type, "path": output.uri, "asset": output.asset}
            for name, output in record.outputs.items()
        },
        "tags": record.tags,
        "properties": record.properties,
        "services": services,
        "creation_context": _created(record.created_at),
        "step": record.step,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "duration": record.duration,
        "error": record.error,
        "reused_from": record.reused_from,
        "resumes": record.resumes,
        "archived": record.archived,
    }


def model_data(version: ModelVersion) -> dict[str, Any]:
    """A model as `az ml model show` prints it; with `digest`, `data` and `code` of ours."""
    return {
        "name": version.name,
        "version": version.version,
        "type": version.type,
        "path": version.uri,
        "description": version.description,
        "tags": version.tags,
        "properties": version.properties,
        "job_name": version.job,
        "creation_context": _created(version.created_at),
        "digest": version.digest,
        "data": version.data,
        "code": version.code,
    }


def asset_data(version: DataVersion) -> dict[str, Any]:
    """A data asset as `az ml data show` prints it; with the `job_name` that wrote it."""
    return {
        "name": version.name,
        "version": version.version,
        "type": version.type,
        "path": version.uri,
        "description": version.description,
        "tags": version.tags,
        "creation_context": _created(version.created_at),
        "job_name": version.job,
    }


def compute_data(target: ComputeTarget) -> dict[str, Any]:
    """A compute target as `az ml compute show` prints it; with `busy`, `queued` and `source`."""
    return {
        "name": target.name,
        "type": target.type,
        "size": target.size,
        "min_instances": target.min_instances,
        "max_instances": target.max_instances,
        "provisioning_state": target.state,
        "busy": target.busy,
        "queued": target.queued,
        "source": target.source,
    }


def schedule_data(record: ScheduleRecord) -> dict[str, Any]:
    """A schedule as `az ml schedule show` prints it; with `cron` and `source` of ours."""
    from mlops_dagster.aml.timing import cron_of

    return {
        "name": record.name,
        "display_name": record.display_name,
        "description": record.description,
        "is_enabled": record.is_enabled,
        "trigger": record.trigger.model_dump(),
        "tags": record.tags,
        "creation_context": _created(record.created_at),
        "cron": cron_of(record.trigger, record.created_at),
        "is_declared": record.is_declared,
        "source": record.source,
    }


def inputs_of(record: JobRecord) -> dict[str, Any]:
    """What a job was given, by name: a literal, or ``{path}`` of a file, folder or asset."""
    return {
        name: {"path": value} if str(value).startswith("azureml:") else value
        for name, value in record.inputs.items()
    }


def path_of(value: Any) -> Any:
    """An input's path where it has one, else its literal."""
    return value["path"] if isinstance(value, dict) else value


def primary_metric(sweep: JobRecord) -> tuple[str, str]:
    """The name and the goal of the metric that a sweep looks at."""
    try:
        config = json.loads(sweep.properties.get("primary_metric_config", "{}"))
    except ValueError:
        config = {}
    return str(config.get("name", "")), str(config.get("goal", "minimize")).lower()


def best_metric(sweep: JobRecord) -> str | None:
    """The primary metric of a sweep's best trial, such as ``auc 0.71``."""
    score = sweep.properties.get("score")
    return f"{primary_metric(sweep)[0]} {score}".strip() if score else None


def _created(moment: datetime) -> dict[str, Any]:
    return {"created_at": moment}
