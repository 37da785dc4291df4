"""What every Azure ML workspace can do, and the values that it answers with: a module a part.

Promises, held for every adapter by the contract suite in ``tests/workspace/contract``:

- ``jobs.submit`` is idempotent by name; a job outlives the process that submitted it.
- Inputs are resolved before a command starts; outputs appear whole or not at all.
- No more jobs run at once on a compute target than it has nodes; the rest queue.
- A registered version (data, model) is immutable and remembers where it came from.

Times are timezone-aware, in UTC. URIs are ``azureml://datastores/NAME/paths/PATH``.
"""

from __future__ import annotations

from mlops_dagster.workspace.ports.compute import Compute, ComputeTarget
from mlops_dagster.workspace.ports.data import Data, DataVersion
from mlops_dagster.workspace.ports.jobs import (
    ChildRun,
    JobRecord,
    Jobs,
    JobStatus,
    LogLine,
    MetricPoint,
    OutputRecord,
    Tracked,
)
from mlops_dagster.workspace.ports.models import Models, ModelVersion
from mlops_dagster.workspace.ports.schedules import ScheduleRecord, Schedules
from mlops_dagster.workspace.ports.workspace import JobOptions, Workspace

__all__ = [
    "JobStatus",
    "OutputRecord",
    "JobRecord",
    "LogLine",
    "MetricPoint",
    "Tracked",
    "ChildRun",
    "Jobs",
    "ComputeTarget",
    "Compute",
    "DataVersion",
    "Data",
    "ModelVersion",
    "Models",
    "ScheduleRecord",
    "Schedules",
    "JobOptions",
    "Workspace",
]
