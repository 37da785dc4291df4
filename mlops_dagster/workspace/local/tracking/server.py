"""The home's one MLflow server: started when it is needed, found by whoever needs it, ended.

::

    .mlops/mlflow/
      mlflow.db, artifacts/     MLflow's own store
      server.json               where the server listens; its port outlives it, so that links do
      server.log                what it says; its last line is its last request
      server.lock               held by its supervisor as long as that lives
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.system import atomic
from mlops_dagster.system.files import writing

_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
# What belongs to a job or to a Dagster run is not the server's, which outlives both.
_FOREIGN = ("AZUREML_", "AZURE_ML_", "DAGSTER_", "MLFLOW_", "MLOPS_JOB")


def folder_of(home: Path) -> Path:
    """Where MLflow's store and the server's own files lie."""
    return home.absolute() / "mlflow"


def start(home: Path) -> str:
    """The address of the home's MLflow server, started where it does not run.

    The first start in a home takes some seconds, a running server is found in milliseconds.
    Raises WorkspaceUnavailable where it does not start.
    """
    address = running(home)
    if address is not None:
        return address
    from filelock import FileLock

    folder = folder_of(home)
    with writing(home):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "start.lock"):
            return running(home) or _started(home)


def running(home: Path) -> str | None:
    """The address of the home's MLflow server; None where it does not run."""
    told = read_status(home)
    if "pid" not in told:
        return None
    return address_of(told["port"]) if is_healthy(told["port"]) else None


def stop(home: Path) -> None:
    """End the home's MLflow server; it is fine where it does not run."""
    from filelock import FileLock, Timeout

    from mlops_dagster.system.process_tree import is_alive

    folder = folder_of(home)
    if not (folder / "server.lock").exists():
        return
    with FileLock(folder / "start.lock"):
        told = read_status(home)
        pid, created = told.get("supervisor", (0, 0.0))
        if is_alive(pid, created):
            os.kill(pid, signal.SIGTERM)
        try:
            with FileLock(folder / "server.lock", timeout=_STOP_SECONDS):
                pass
        except Timeout:
            raise WorkspaceUnavailable(
                f"The MLflow server of {home} did not end within {_STOP_SECONDS:.0f} s.",
                remedy=f"End process {pid}.",
            ) from None


def address_of(port: int) -> str:
    """The address of a server on this machine."""
    return f"http://127.0.0.1:{port}"


def read_status(home: Path) -> dict[str, Any]:
    """What the supervisor says of its server; empty where there never was one."""
    try:
        told = json.loads((folder_of(home) / "server.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def write_status(home: Path, told: dict[str, Any]) -> None:
    """Say how the server is, whole or not at all."""
    atomic.write(folder_of(home) / "server.json", json.dumps(told).encode())


def is_healthy(port: int, *, timeout: float = 5.0) -> bool:
    """Whether an MLflow server answers on this port."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200 and answer.read() == b"OK"
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _started(home: Path) -> str:
    since = time.time()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    module = "mlops_dagster.workspace.local.tracking.supervisor"
    # It forks away at once, so that it is nobody's child and no job's end takes it along.
    subprocess.run(
        [sys.executable, "-m", module, os.fspath(home.absolute())],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )
    while time.time() < since + _START_SECONDS:
        told = read_status(home)
        if "pid" in told and is_healthy(told["port"]):
            return address_of(told["port"])
        if told.get("failed_at", 0) >= since:
            break
        time.sleep(0.05)
    log = folder_of(home) / "server.log"
    said = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
    raise WorkspaceUnavailable(
        f"The MLflow server of {home} did not start: {said.splitlines()[-1] if said else 'silent'}",
        remedy=f"See {log}.",
    )
