"""The home's one MLflow server: started when it is needed, found by whoever needs it, ended.

Its store, ``mlflow.db`` and ``artifacts/``, lies in ``mlflow/`` of the home. The last line of the
service's log is the last request.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlops_dagster.system import services
from mlops_dagster.system.files import writing

# Below this path, followed by the name of a job, the server takes requests for that job's.
JOB_PATH = "/jobs/"

_NAME = "mlflow"
_IDLE_SECONDS = 600.0
# What belongs to a job or to a Dagster run is not the server's, which outlives both.
_FOREIGN = ("AZUREML_", "AZURE_ML_", "DAGSTER_", "MLFLOW_", "MLOPS_JOB")


def folder_of(home: Path) -> Path:
    """Where MLflow's store lies."""
    return home.absolute() / "mlflow"


def start(home: Path) -> str:
    """The address of the home's MLflow server, started where it does not run.

    The first start in a home takes some seconds, a running server is found in milliseconds.
    Raises WorkspaceUnavailable where it does not start.
    """
    with writing(home):
        folder_of(home).mkdir(parents=True, exist_ok=True)
    return services.start(_service(home)).address


def running(home: Path) -> str | None:
    """The address of the home's MLflow server; None where it does not run."""
    found = services.find(services.folder_of(home, _NAME))
    return found.address if found else None


def stop(home: Path) -> bool:
    """End the home's MLflow server; returns whether it ran. Raises WorkspaceUnavailable."""
    return services.stop(services.folder_of(home, _NAME))


def _service(home: Path) -> services.Service:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)
    }
    # Without compiled bytecode it starts about three times as slowly.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    module = "mlops_dagster.workspace.local.tracking.server"
    return services.Service(
        name="MLflow server",
        folder=services.folder_of(home, _NAME),
        command=(sys.executable, "-m", module, "{http}"),
        ports={"http": 0},
        health={"http": "/health"},
        working=folder_of(home),
        environment=environment,
        idle_seconds=float(os.environ.get("MLOPS_TRACKING_IDLE_SECONDS") or _IDLE_SECONDS),
    )
