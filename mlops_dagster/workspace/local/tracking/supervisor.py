"""The process beside the MLflow server: starts it, and ends it when nobody has asked it anything.

``python -m mlops_dagster.workspace.local.tracking.supervisor HOME``. It ends, and the server with
it, on SIGTERM, when the server has ended, when the home is gone, and ``MLOPS_TRACKING_IDLE_SECONDS``
(by default 600) after the last request.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlops_dagster.system.loopback import first_free, free_ports
from mlops_dagster.system.process_tree import ProcessTree, identity, is_alive
from mlops_dagster.workspace.local.tracking.server import (
    folder_of,
    is_healthy,
    read_status,
    write_status,
)

_IDLE_SECONDS = 600.0
_START_SECONDS = 120.0
_LOG_BYTES = 20_000_000


def main(home: Path) -> None:
    """Leave whoever started this process, and look after the home's server until it ends."""
    if hasattr(os, "fork") and os.fork():
        os._exit(0)
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    with suppress(Timeout), FileLock(folder_of(home) / "server.lock", timeout=15):
        before = read_status(home)
        if "pid" in before and is_alive(before["pid"], before["created"]):
            ProcessTree([before["pid"]]).end()  # its supervisor was killed
        port = first_free([before["port"]] if "port" in before else []) or free_ports(1)[0]
        server = _launch(home, port)
        try:
            if _comes_up(server, port, asked_to_end):
                pid, created = identity(server.pid)
                told = {"port": port, "pid": pid, "created": created}
                write_status(home, {**told, "supervisor": identity(os.getpid())})
                _watch(home, server, asked_to_end)
                ended: dict[str, float] = {"port": port}
            else:
                ended = {"port": port, "failed_at": time.time()}
            with suppress(OSError):  # the home may be gone
                write_status(home, ended)
        finally:
            ProcessTree([server.pid]).end()
            server.wait()


def _launch(home: Path, port: int) -> subprocess.Popen[bytes]:
    folder = folder_of(home)
    (folder / "server.log").write_bytes(b"")
    with (folder / "server.log").open("ab") as log:  # so that it can be cut while it is written
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                # Relative to its own folder: no character of a path is special in these.
                *("--backend-store-uri", "sqlite:///mlflow.db"),
                *("--serve-artifacts", "--artifacts-destination", "./artifacts"),
            ],
            cwd=folder,
            env={
                **os.environ,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _comes_up(server: subprocess.Popen[bytes], port: int, asked_to_end: threading.Event) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if is_healthy(port):
            return True
        if asked_to_end.wait(0.05):
            return False
    return False


def _watch(home: Path, server: subprocess.Popen[bytes], asked_to_end: threading.Event) -> None:
    """Return when the server is to end, or has."""
    idle = float(os.environ.get("MLOPS_TRACKING_IDLE_SECONDS") or _IDLE_SECONDS)
    log = folder_of(home) / "server.log"
    while server.poll() is None and not asked_to_end.wait(min(1.0, idle / 4)):
        try:
            status = log.stat()
        except OSError:
            return
        if time.time() > status.st_mtime + idle:
            return
        if status.st_size > _LOG_BYTES:
            os.truncate(log, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
