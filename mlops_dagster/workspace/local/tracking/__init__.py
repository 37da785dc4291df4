"""MLflow for the jobs of one home: what scripts log is filed under the job, as on Azure ML.

A job gets ``MLFLOW_TRACKING_URI``, an address that lives as long as the job, and ``MLFLOW_RUN_ID``,
its own name. The first connection starts the home's one MLflow server; from then on bytes are
passed on. The server knows the job by the path of the address, makes its run, and puts the ids of
runs in the place of the names of jobs. A job that never talks to MLflow costs nothing.

MLflow's model registry works on that server as it does on any other; what a script registers there
is not a registered model of the workspace.
"""

from mlops_dagster.workspace.local.tracking.job import JobTracking, end_runs
from mlops_dagster.workspace.local.tracking.pages import served_page, served_page_of_job
from mlops_dagster.workspace.local.tracking.reader import (
    artifacts_of,
    read_artifact,
    read_tracked,
    values_of,
)
from mlops_dagster.workspace.local.tracking.service import running, start, stop

__all__ = [
    "JobTracking",
    "artifacts_of",
    "end_runs",
    "read_artifact",
    "read_tracked",
    "running",
    "served_page",
    "served_page_of_job",
    "start",
    "stop",
    "values_of",
]
