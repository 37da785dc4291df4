"""The process beside a background server: starts it, says when it is healthy, and ends it.

``python -m mlops_dagster.system.supervisor SERVICE``, started by ``mlops_dagster.system.services``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlops_dagster.system.loopback import HOST, first_free, free_ports
from mlops_dagster.system.process_tree import ProcessTree, identity
from mlops_dagster.system.services import (
    Service,
    State,
    end_left_behind,
    read_state,
    write_state,
)

_LOCK_SECONDS = 15.0
_HEALTH_SECONDS = 0.05
_LOG_BYTES = 20_000_000
_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(described: dict[str, Any]) -> int:
    """Look after the server until it ends; returns its exit status, 0 where it was told to end."""
    attached = described.pop("attached")
    paths = {name: Path(described[name]) for name in ("folder", "working")}
    service = Service(**{**described, **paths, "environment": os.environ})
    if not attached and os.fork():
        os._exit(0)  # so that it is nobody's child, and no job's end takes it along
    alarm = _Alarm(watch_input=attached)
    with suppress(Timeout), FileLock(service.folder / "server.lock", timeout=_LOCK_SECONDS):
        before = read_state(service.folder)
        end_left_behind(before)
        ports = _ports(service, before.ports)
        server = _launch(service, ports)
        try:
            if _becomes_healthy(service, ports, server, alarm):
                state = State(ports, identity(server.pid), identity(os.getpid()))
                write_state(service.folder, state)
                _report(ports)
                _watch(service, server, alarm)
        finally:
            ProcessTree([server.pid]).end(grace=service.grace_seconds)
            with suppress(OSError):  # the folder may be gone
                write_state(service.folder, State(ports))
        status = server.wait()
        return 0 if alarm.rung else status
    return 1


class _Alarm:
    """Wakes who waits when a signal arrives, or when the process that this one serves has ended.

    Attributes:
        rung: whether the server is to end.
    """

    def __init__(self, *, watch_input: bool) -> None:
        self._awake, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        # With handlers of its own here, the server begins with the default ones, also where
        # whoever started this process ignored a signal.
        for number in (*_TO_END, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._watched = [self._awake, *([sys.stdin.fileno()] if watch_input else [])]
        self.rung = False

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until something has happened."""
        ready, _, _ = select.select(self._watched, [], [], seconds)
        for file in ready:
            content = os.read(file, 4096)
            ended = file != self._awake and not content
            self.rung |= ended or (file == self._awake and any(n in content for n in _TO_END))


def _ports(service: Service, before: Mapping[str, int]) -> dict[str, int]:
    """The ports that were asked for; else those of last time where they are free, else any."""
    ports = dict(service.ports)
    for name in [name for name, port in ports.items() if not port]:
        ports[name] = first_free([before[name]] if name in before else []) or 0
    missing = [name for name, port in ports.items() if not port]
    return ports | dict(zip(missing, free_ports(len(missing)), strict=True))


def _launch(service: Service, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
    command = list(service.command)
    for name, port in ports.items():
        command = [argument.replace(f"{{{name}}}", str(port)) for argument in command]
    service.log.write_bytes(b"")
    with service.log.open("ab") as file:  # appended to, so that it can be cut while it is written
        output = file if service.log_to_file else sys.stderr
        return subprocess.Popen(
            command,
            cwd=service.working,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _becomes_healthy(
    service: Service, ports: Mapping[str, int], server: subprocess.Popen[bytes], alarm: _Alarm
) -> bool:
    deadline = time.monotonic() + service.start_seconds
    while time.monotonic() < deadline and not alarm.rung and server.poll() is None:
        if all(_is_healthy(ports[name], path) for name, path in service.health.items()):
            return True
        alarm.wait(_HEALTH_SECONDS)
    return False


def _is_healthy(port: int, path: str) -> bool:
    if not path:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _report(ports: Mapping[str, int]) -> None:
    """Tell whoever started the service where it listens."""
    with suppress(BrokenPipeError):  # they have gone away
        sys.stdout.write(f"{json.dumps(dict(ports))}\n")
        sys.stdout.flush()
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _watch(service: Service, server: subprocess.Popen[bytes], alarm: _Alarm) -> None:
    """Return when the server is to end, or has."""
    pause = 1.0 if service.idle_seconds is None else min(1.0, service.idle_seconds / 4)
    while not alarm.rung and server.poll() is None:
        alarm.wait(pause)
        try:
            status = service.log.stat()
        except OSError:
            return
        if (
            service.idle_seconds is not None
            and time.time() > status.st_mtime + service.idle_seconds
        ):
            return
        if status.st_size > _LOG_BYTES:
            os.truncate(service.log, 0)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
