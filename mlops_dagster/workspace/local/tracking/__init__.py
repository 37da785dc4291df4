"""MLflow for the jobs of one home: what scripts log is filed under the job, as on Azure ML.

A job gets ``MLFLOW_TRACKING_URI``, the address of a small proxy that lives as long as the job, and
``MLFLOW_RUN_ID``, its own name. The first request makes sure that the home's one MLflow server
runs, and that the job has a run there; from then on the proxy passes requests on, with the names
of jobs replaced by the ids of their runs. A job that never talks to MLflow costs nothing.

MLflow's model registry works on that server as it does on any other; what a script registers there
is not a registered model of the workspace.
"""

from mlops_dagster.workspace.local.tracking.job import JobTracking, end_runs
from mlops_dagster.workspace.local.tracking.reader import (
    artifacts_of,
    read_artifact,
    read_tracked,
    values_of,
)
from mlops_dagster.workspace.local.tracking.server import running, start, stop

__all__ = [
    "JobTracking",
    "artifacts_of",
    "end_runs",
    "read_artifact",
    "read_tracked",
    "running",
    "start",
    "stop",
    "values_of",
]
