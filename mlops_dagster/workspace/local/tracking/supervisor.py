"""The process beside the MLflow server: starts it, and ends it when nobody has asked it anything.

``python -m mlops_dagster.workspace.local.tracking.supervisor HOME``. It ends, and the server with
it, on SIGTERM, when the server has ended, when the home is gone, and ``MLOPS_TRACKING_IDLE_SECONDS``
(by default 600) after the last request.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlops_dagster.system.processes import identity, is_alive
from mlops_dagster.workspace.local.tracking.server import (
    folder_of,
    is_healthy,
    read_status,
    write_status,
)

_IDLE_SECONDS = 600.0
_START_SECONDS = 120.0
_GRACE_SECONDS = 5.0
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
            _end(before["pid"])  # its supervisor was killed
        port = _port(before.get("port"))
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
            _end(server.pid)
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


def _port(before: int | None) -> int:
    """The port of last time where it is free, else any."""
    for port in (before or 0, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("This machine has no free port.")


def _end(group: int) -> None:
    """End the server's process group: ask, and insist after a while."""
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + seconds
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            while time.monotonic() < deadline:
                with suppress(ChildProcessError):
                    os.waitpid(group, os.WNOHANG)
                os.killpg(group, 0)
                time.sleep(0.02)
            continue
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
