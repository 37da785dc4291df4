"""Which MLflow run is which job's: made when a job first talks to MLflow, found ever after."""

from __future__ import annotations

import json
import sqlite3
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
from mlops_dagster.workspace.local.tracking.run_ids import JOB_TAG, PARENT_TAG
from mlops_dagster.workspace.local.tracking.service import folder_of

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
        self._state = State(home)
        self._state.create(_SCHEMA + records.SCHEMA)
        if not (folder_of(home) / "mlflow.db").exists():
            with self._state.write() as connection:  # somebody removed the store and all its runs
                connection.execute("DELETE FROM mlflow_runs")

    def by_job(self) -> dict[str, str]:
        """The id of the run that each job's name stands for."""
        with self._state.read() as connection:
            rows = connection.execute("SELECT job, run_id FROM mlflow_runs WHERE main")
            return {row["job"]: row["run_id"] for row in rows}

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

    def ensure(self, job: str, server: str) -> dict[str, str]:
        """The runs of a job and of those around it, by job; made where there is none.

        Only the server itself does this, so that no two are made.

        Args:
            server: the address at which MLflow answers.

        Raises WorkspaceUnavailable.
        """
        with self._state.read() as connection:
            known = connection.execute(
                "SELECT run_id FROM mlflow_runs WHERE job = ? AND main", (job,)
            ).fetchone()
            row = records.find(connection, job)
        if known is not None:
            return {job: str(known["run_id"])}
        if row is None:
            raise WorkspaceUnavailable(f"This workspace has no job {job!r} to log to.")
        around = row["parent"] or (row["root"] if row["root"] != job else None)
        made = self.ensure(around, server) if around else {}
        return {**made, job: self._create(server, row, made[around] if around else None)}

    def add(self, job: str, run_id: str, experiment_id: str, *, main: bool = False) -> None:
        """Remember that the job made this run."""
        with self._state.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO mlflow_runs VALUES (?, ?, ?, ?)",
                (run_id, job, experiment_id, main),
            )

    def _create(self, server: str, job: sqlite3.Row, parent: str | None) -> str:
        experiment = _experiment(server, job["experiment"])
        tags = {JOB_TAG: job["name"], **({PARENT_TAG: parent} if parent else {})}
        # The run of a sweep's trial says what the trial was given.
        if given := json.loads(job["tags"]).get(records.HYPERPARAMETERS):
            tags[records.HYPERPARAMETERS] = given[:_LONGEST_TAG]
        answer = call(
            server,
            "runs/create",
            {
                "experiment_id": experiment,
                "run_name": job["display_name"] or job["name"],
                "start_time": int(time.time() * 1000),
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            },
        )
        run_id = str(answer["run"]["info"]["run_id"])
        self.add(job["name"], run_id, experiment, main=True)
        return run_id


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
