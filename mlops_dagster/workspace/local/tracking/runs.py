"""Which MLflow run is which job's: made when a job first talks to MLflow, found ever after."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.tracking.description import Tracking
from mlops_dagster.workspace.local.tracking.server import folder_of, start
from mlops_dagster.workspace.local.tracking.translation import JOB_TAG, PARENT_TAG

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mlflow_runs (
    run_id TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    experiment_id TEXT NOT NULL,
    main INTEGER NOT NULL       -- the run that the job's name stands for
);
CREATE INDEX IF NOT EXISTS mlflow_runs_by_job ON mlflow_runs (job);
CREATE UNIQUE INDEX IF NOT EXISTS mlflow_main_runs ON mlflow_runs (job) WHERE main;
"""

_LONGEST_TAG = 5000  # what MLflow takes


@dataclass(frozen=True)
class Run:
    """An MLflow run of a job; ``main`` is the one that the job's name stands for."""

    job: str
    run_id: str
    experiment_id: str
    main: bool


class Runs:
    """The MLflow runs of one home's jobs."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._state = State(home)
        self._state.create(_SCHEMA + records.SCHEMA)

    def of(self, jobs: Sequence[str]) -> list[Run]:
        """The runs of these jobs: in their order, each one's main run first."""
        found = []
        with self._state.read() as connection:
            for job in jobs:
                rows = connection.execute(
                    "SELECT * FROM mlflow_runs WHERE job = ? ORDER BY main DESC, rowid", (job,)
                )
                found += [
                    Run(job, row["run_id"], row["experiment_id"], bool(row["main"])) for row in rows
                ]
        return found

    def named(self, name: str) -> str | None:
        """The id of the run that a job's name stands for."""
        with self._state.read() as connection:
            row = connection.execute(
                "SELECT run_id FROM mlflow_runs WHERE job = ? AND main", (name,)
            ).fetchone()
        return str(row["run_id"]) if row else None

    def ensure(self, job: Tracking) -> str:
        """The id of the job's own run, made where there is none; so are those of its parents.

        Starts the server. Raises WorkspaceUnavailable.
        """
        if not (folder_of(self._home) / "mlflow.db").exists():
            self._forget()
        known = self.named(job.job)
        if known is not None:
            return known
        from filelock import FileLock

        server = start(self._home)
        parent = self.ensure(self._parent(job)) if job.parent else None
        with FileLock(folder_of(self._home) / "runs.lock"):
            return self.named(job.job) or self._create(server, job, parent)

    def add(self, job: str, run_id: str, experiment_id: str, *, main: bool = False) -> None:
        """Remember that the job made this run."""
        with self._state.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO mlflow_runs VALUES (?, ?, ?, ?)",
                (run_id, job, experiment_id, main),
            )

    def _forget(self) -> None:
        """Somebody removed MLflow's store, and with it every run."""
        with self._state.write() as connection:
            connection.execute("DELETE FROM mlflow_runs")

    def _parent(self, job: Tracking) -> Tracking:
        with self._state.read() as connection:
            row = records.find(connection, job.parent or "")
        if row is None:
            return Tracking(job.parent or "", None, job.experiment, job.parent or "")
        return Tracking(row["name"], row["parent"], row["experiment"], row["display_name"])

    def _create(self, server: str, job: Tracking, parent: str | None) -> str:
        experiment = _experiment(server, job.experiment)
        tags = {JOB_TAG: job.job, **({PARENT_TAG: parent} if parent else {})}
        tags |= self._hyperparameters(job.job)
        answer = call(
            server,
            "runs/create",
            {
                "experiment_id": experiment,
                "run_name": job.display_name or job.job,
                "start_time": int(time.time() * 1000),
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            },
        )
        run_id = str(answer["run"]["info"]["run_id"])
        self.add(job.job, run_id, experiment, main=True)
        return run_id

    def _hyperparameters(self, job: str) -> dict[str, str]:
        """The tag by which the run of a sweep's trial tells what the trial was given."""
        with self._state.read() as connection:
            row = records.find(connection, job)
        given = json.loads(row["tags"]).get(records.HYPERPARAMETERS) if row is not None else None
        return {records.HYPERPARAMETERS: given[:_LONGEST_TAG]} if given else {}


def call(server: str, method: str, message: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask MLflow's REST interface: a message is posted, without one it is a question.

    Raises WorkspaceUnavailable, with what MLflow said, where the answer is no.
    """
    connection = HTTPConnection(urlsplit(server).netloc, timeout=60)
    try:
        body = None if message is None else json.dumps(message)
        connection.request(
            "GET" if body is None else "POST",
            f"/api/2.0/mlflow/{method}",
            body,
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        content = json.loads(answer.read() or b"{}")
    except (OSError, HTTPException, ValueError) as error:
        raise WorkspaceUnavailable(f"MLflow at {server} did not answer: {error}.") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise MlflowRefused(content.get("error_code", ""), content.get("message", ""))
    return dict(content)


class MlflowRefused(WorkspaceUnavailable):
    """MLflow's server understood a request and said no."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"MLflow refused a request ({code}): {message}")
        self.code = code


def _experiment(server: str, name: str) -> str:
    """The id of the experiment of this name, made where there is none."""
    for _ in range(2):
        try:
            found = call(server, f"experiments/get-by-name?experiment_name={quote(name, safe='')}")
        except MlflowRefused as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
        else:
            experiment = found["experiment"]
            if experiment["lifecycle_stage"] == "deleted":
                restored = {"experiment_id": experiment["experiment_id"]}
                call(server, "experiments/restore", restored)
            return str(experiment["experiment_id"])
        try:
            return str(call(server, "experiments/create", {"name": name})["experiment_id"])
        except MlflowRefused as error:  # somebody else was first
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
    raise WorkspaceUnavailable(f"MLflow can neither find nor make the experiment {name!r}.")
