"""What is registered under a name rather than run: data, models, compute targets, schedules.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-data, .../reference-yaml-model,
.../reference-yaml-compute-aml, .../reference-yaml-compute-instance, .../reference-yaml-schedule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import Job, PipelineSettings
from mlops_dagster.aml.types import DataType, ModelType


class DataAsset(Value):
    """Data under a name and version.

    Attributes:
        path: where it lies: a URL, an ``azureml:`` address, or an absolute path here.
        version: None for the next one.
    """

    name: str
    version: str | None = None
    type: DataType = "uri_folder"
    path: str
    description: str = ""
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
    source: Path | None = None


class ModelAsset(Value):
    """A model under a name and version; ``path`` as a data asset's, or a job's output."""

    name: str
    version: str | None = None
    type: ModelType = "custom_model"
    path: str
    description: str = ""
    stage: str | None = None
    flavors: dict[str, Any] = {}
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
    source: Path | None = None


class ComputeAsset(Value):
    """A compute target.

    Attributes:
        max_instances: nodes, and so single-node jobs at once; a compute instance and an attached
            machine have one. The official loader gives a cluster without a number four.
        settings: its other fields, as written, for who provisions it.
    """

    name: str
    type: str
    size: str | None = None
    min_instances: int = 0
    max_instances: int = 1
    tier: str | None = None
    location: str | None = None
    idle_time_before_scale_down: int | None = None
    description: str = ""
    tags: dict[str, str | None] = {}
    settings: dict[str, Any] = {}
    source: Path | None = None


class Cron(Value):
    """Times by a cron expression."""

    type: Literal["cron"] = "cron"
    expression: str
    start_time: str | None = None
    end_time: str | None = None
    time_zone: str = "UTC"


class Recurrence(Value):
    """Times by a frequency: every ``interval`` minutes, hours, days, weeks or months.

    Attributes:
        hours, minutes: of the day, for days, weeks and months.
        week_days: for weeks; ``monday`` ... ``sunday``.
        month_days: for months; 1 to 31.
    """

    type: Literal["recurrence"] = "recurrence"
    frequency: Literal["minute", "hour", "day", "week", "month"]
    interval: int
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    week_days: tuple[str, ...] = ()
    month_days: tuple[int, ...] = ()
    start_time: str | None = None
    end_time: str | None = None
    time_zone: str = "UTC"


class Schedule(Value):
    """A job that runs again and again.

    Attributes:
        job: what runs, with the schedule's own fields folded in; None where ``job_reference``
            names a job of the workspace (``azureml:NAME``).
        inputs, settings: what the schedule sets anew on a job that is only named.
        is_enabled: whether it runs once it is created.
    """

    name: str
    display_name: str | None = None
    description: str = ""
    trigger: Cron | Recurrence
    is_enabled: bool = True
    job: Job | None = None
    job_reference: str | None = None
    inputs: dict[str, InputValue] = {}
    settings: PipelineSettings | None = None
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
    source: Path | None = None
