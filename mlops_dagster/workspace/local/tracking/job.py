"""MLflow around one job's command: an address for its scripts, and an end for its runs."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from mlops_dagster.errors import MlopsError
from mlops_dagster.system.loopback import HOST
from mlops_dagster.system.walk import Links, walk
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.tracking.service import JOB_PATH, folder_of, running, start
from mlops_dagster.workspace.ports import JobStatus

_MOST = 200  # files that are looked at, of a job's code

# mlflow.entities.RunStatus
_ENDED = {
    JobStatus.COMPLETED: "FINISHED",
    JobStatus.CANCELED: "KILLED",
}


class JobTracking:
    """The address at which one job's scripts find MLflow, as long as the context is open.

    Args:
        job: its name, which stands for its run's id in every request.
        experiment: the one that its run belongs to.

    Attributes:
        url: for ``MLFLOW_TRACKING_URI``; costs a socket and a sleeping thread until it is used.
    """

    def __init__(self, home: Path, job: str, experiment: str) -> None:
        self._home = home
        self._job = job
        self._experiment = experiment
        self.url = ""
        # Asked before a server starts, which makes it.
        self._has_store = (folder_of(home) / "mlflow.db").exists()

    def __enter__(self) -> Self:
        self._socket = socket.create_server((HOST, 0), backlog=128)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}{JOB_PATH}{self._job}"
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="mlflow", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a job's process needs to log to its own run, under the names that MLflow reads."""
        return {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_RUN_ID": self._job,
            "MLFLOW_EXPERIMENT_NAME": self._experiment,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # It would print this address, which ends with the job; the record has one that stays.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }

    def start_early(self, folder: Path, arguments: Iterable[str]) -> None:
        """Start the server while the job itself still starts, where its code speaks of MLflow.

        Args:
            folder: where its code lies.
            arguments: of its commands.
        """
        spoken = any("mlflow" in argument for argument in arguments)
        code = None if spoken else folder
        threading.Thread(target=_start_early, args=(self._home, code), daemon=True).start()

    def _note_first_start(self) -> None:
        """Say in the job's log why its first call takes long, in a home that has no store yet."""
        if not self._has_store:
            text = (
                "MLflow is starting for the first time in this workspace; this takes some seconds."
            )
            with suppress(OSError):  # a full disk costs the note, not the connection
                logs.note(self._home, self._job, text)
        self._has_store = True

    def _listen(self) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._socket, selectors.EVENT_READ)
            waiting.register(self._stop, selectors.EVENT_READ)
            while all(key.fd != self._stop for key, _ in waiting.select()):
                client, _ = self._socket.accept()
                # Most jobs never get here; what it imports would be a tenth of a small job's time.
                from mlops_dagster.workspace.local.tracking import relay

                self._note_first_start()
                arguments = (client, self._home)
                threading.Thread(target=relay.serve, args=arguments, daemon=True).start()


def _start_early(home: Path, code: Path | None) -> None:
    """Start the server, where one of the first Python files of the code holds its name."""
    with suppress(MlopsError, OSError):  # the job that needs the server gets the error
        files = islice(walk(code, links=Links.SKIP, special="skip"), _MOST) if code else ()
        scripts = [entry.path for entry in files if entry.name.endswith(".py")]
        if code is None or any(b"mlflow" in Path(script).read_bytes() for script in scripts):
            start(home)


def end_runs(home: Path, job: str, status: JobStatus, *, restart: bool = True) -> None:
    """Bring the MLflow runs of an ended job into the state that the job is in.

    Args:
        restart: start the server where it does not run; else leave the runs as they are then.

    Raises WorkspaceUnavailable.
    """
    if not (folder_of(home) / "mlflow.db").exists():
        return
    from mlops_dagster.workspace.local.tracking.runs import Runs, call

    runs = Runs(home).of([job])
    server = (start(home) if restart else running(home)) if runs else None
    if server is None:
        return
    now = int(time.time() * 1000)
    for run in runs:
        info = call(server, f"runs/get?run_id={run.run_id}")["run"]["info"]
        if run.main or info["status"] == "RUNNING":
            ended = _ENDED.get(status, "FAILED")
            end = info.get("end_time") if info["status"] == ended else now
            message = {"run_id": run.run_id, "status": ended, "end_time": end or now}
            call(server, "runs/update", message)
