"""Where MLflow's pages are found: an address that stays, and the one that it leads to now.

MLflow's server ends when nobody uses it, and its own addresses with it. Below ``/mlflow`` of the
Dagster UI, `mlops ui` starts the server and leads to its page.
"""

from __future__ import annotations

import re
from pathlib import Path

from mlops_dagster.system import services
from mlops_dagster.system.loopback import HOST
from mlops_dagster.workspace.local.tracking.runs import Runs
from mlops_dagster.workspace.local.tracking.service import folder_of, start

PATH = "/mlflow"
UI_SERVICE, UI_PORT = "ui", 3000

_PAGE = re.compile(r"experiments(/[0-9]+(/runs/[0-9a-f]+)?)?")


def page(home: Path, experiment: str, run: str) -> str:
    """The page of a run, as long as `mlops ui` runs."""
    ports = services.read_state(services.folder_of(home, UI_SERVICE)).ports
    place = f"experiments/{experiment}/runs/{run}"
    return f"http://{HOST}:{ports.get('http', UI_PORT)}{PATH}/{place}"


def served_page(home: Path, path: str = "") -> str:
    """MLflow's own page behind a path below ``/mlflow``; its server is started where it does not run.

    Raises WorkspaceUnavailable.
    """
    place = path.strip("/")
    place = place if _PAGE.fullmatch(place) else "experiments"
    return f"{start(home)}/#/{place}?workflowType=machine_learning"


def served_page_of_job(home: Path, job: str) -> str | None:
    """MLflow's own page of a job's run; None where the job has none. Raises WorkspaceUnavailable."""
    if not (folder_of(home) / "mlflow.db").exists() or not (runs := Runs(home).of([job])):
        return None
    return served_page(home, f"experiments/{runs[0].experiment_id}/runs/{runs[0].run_id}")
