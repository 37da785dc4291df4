"""Background servers: started once, found again, looked after, and ended with all their children.

A service has a folder of its own, by its name in ``services/`` of the state folder::

    server.json     where it listens and which processes it is; its ports outlive it
    server.log      what it writes
    server.lock     held by its supervisor, as long as that lives
    start.lock      held while somebody starts or stops it

The supervisor is a small process beside the server (``mlops_dagster.system.supervisor``). It ends
the server, and every process that the server has started, when it is told to, when nobody has used
the server for some time, when the folder is gone, and, for a server that was started for as long
as a command runs (``serving``), when that command has ended, however it did.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable
from mlops_dagster.system import atomic
from mlops_dagster.system.files import writing
from mlops_dagster.system.loopback import HOST

_STOP_SECONDS = 30.0

Identity = tuple[int, float]


@dataclass(frozen=True)
class Service:
    """A server that can run in the background.

    Attributes:
        name: what messages call it, such as ``MLflow server``.
        folder: holds its state, log and locks.
        command: its arguments; ``{http}`` in one stands for the port ``http``.
        ports: the ports on which it listens, by name; 0 for the one of last time where that is
            free, else any.
        health: for a port by name, the path that is answered with status 200 as soon as the server
            can be used; empty where it is enough that somebody listens.
        working: its current directory.
        environment: its whole environment; passed on, never written down.
        log_to_file: whether it writes to its log, or to the terminal of whoever started it.
        idle_seconds: how long after the last line in its log it is ended; None for never.
        start_seconds: how long it may take until it is healthy.
        grace_seconds: how long its processes may take to end once they are asked to.
    """

    name: str
    folder: Path
    command: Sequence[str]
    ports: Mapping[str, int]
    health: Mapping[str, str]
    working: Path
    environment: Mapping[str, str] = field(repr=False)
    log_to_file: bool = True
    idle_seconds: float | None = None
    start_seconds: float = 120.0
    grace_seconds: float = 5.0

    @property
    def log(self) -> Path:
        """What the server has written since it was started last."""
        return self.folder / "server.log"


@dataclass(frozen=True)
class Running:
    """A service that runs.

    Attributes:
        ports: where it listens on loopback, by name.
    """

    ports: Mapping[str, int]

    @property
    def address(self) -> str:
        """Where its port ``http`` is found."""
        return f"http://{HOST}:{self.ports['http']}"


@dataclass(frozen=True)
class Serving(Running):
    """A service that runs as long as the context of ``serving``."""

    _supervisor: subprocess.Popen[str] = field(repr=False, kw_only=True)

    def wait(self) -> int:
        """Wait until it ends; returns its exit status, 0 where it was told to end."""
        return self._supervisor.wait()

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._supervisor.poll()


def folder_of(home: Path, name: str) -> Path:
    """The folder of the service of this name."""
    return home.absolute() / "services" / name


def start(service: Service) -> Running:
    """The service, started where it does not run; of many that start it at once, one does.

    It outlives the process that started it. Raises WorkspaceUnavailable, with the last line of its
    log, where it does not become healthy.
    """
    if (running := find(service.folder)) is not None:
        return running
    with _starting(service.folder):
        if (running := find(service.folder)) is not None:
            return running
        supervisor = _launch(service, attached=False)
        try:
            return Running(_await_report(service, supervisor))
        finally:
            supervisor.wait()  # what looks after the server is its child


@contextmanager
def serving(service: Service) -> Iterator[Serving]:
    """Run a service while the context lasts, and no longer than this process.

    Raises:
        InvalidRequest: it runs already.
        WorkspaceUnavailable: it does not become healthy.
    """
    with ExitStack() as stack:
        with _starting(service.folder):
            if find(service.folder) is not None:
                raise InvalidRequest(f"The {service.name} of {service.folder} runs already.")
            supervisor = stack.enter_context(_ended(_launch(service, attached=True)))
            ports = _await_report(service, supervisor)
        yield Serving(ports, _supervisor=supervisor)


def find(folder: Path) -> Running | None:
    """The service that runs for this folder; None where there is none."""
    from mlops_dagster.system.process_tree import is_alive

    state = read_state(folder)
    return Running(state.ports) if state.server and is_alive(*state.server) else None


def stop(folder: Path) -> bool:
    """End the service of this folder, whoever started it; returns whether there was one.

    Processes that a killed supervisor left behind are ended as well. Raises WorkspaceUnavailable
    where it does not end.
    """
    from filelock import FileLock, Timeout

    from mlops_dagster.system.process_tree import is_alive

    if not (folder / "server.lock").exists():
        return False
    with FileLock(folder / "start.lock"):
        state = read_state(folder)
        supervised = state.supervisor is not None and is_alive(*state.supervisor)
        if state.supervisor is not None and supervised:
            os.kill(state.supervisor[0], signal.SIGTERM)
        try:
            with FileLock(folder / "server.lock", timeout=_STOP_SECONDS):
                left = end_left_behind(read_state(folder))
        except Timeout:
            raise WorkspaceUnavailable(
                f"The server of {folder} did not end within {_STOP_SECONDS:.0f} s.",
                remedy=f"End process {state.supervisor[0]}." if state.supervisor else None,
            ) from None
    return supervised or left > 0


def stop_all(home: Path) -> list[str]:
    """End every service of this home; returns the names of those that ran."""
    folders = sorted(folder_of(home, "").glob("*/"))
    return [folder.name for folder in folders if stop(folder)]


@dataclass(frozen=True)
class State:
    """What a supervisor has written down of its server.

    Attributes:
        ports: those of the running server, or of the last one.
        server, supervisor: their processes' ids and times of creation; None where none runs.
    """

    ports: Mapping[str, int] = field(default_factory=dict)
    server: Identity | None = None
    supervisor: Identity | None = None


def read_state(folder: Path) -> State:
    """The state of a service; empty where there never was one."""
    try:
        content: dict[str, Any] = json.loads((folder / "server.json").read_text(encoding="utf-8"))
        server, supervisor = (content.get(name) for name in ("server", "supervisor"))
        return State(
            {str(name): int(port) for name, port in content["ports"].items()},
            (server[0], server[1]) if server else None,
            (supervisor[0], supervisor[1]) if supervisor else None,
        )
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return State()


def write_state(folder: Path, state: State) -> None:
    """Write the state down, whole or not at all."""
    atomic.write(folder / "server.json", json.dumps(asdict(state)).encode())


def end_left_behind(state: State) -> int:
    """End what is left of a server whose supervisor was killed; returns how many there were."""
    from mlops_dagster.system.process_tree import ProcessTree, identity

    if state.server is None:
        return 0
    pid, created = state.server
    # While one of its session lives, no other process is given the number of a server that is gone.
    if identity(pid)[1] not in (0.0, created):
        return 0
    return ProcessTree([pid]).end()


@contextmanager
def _starting(folder: Path) -> Iterator[None]:
    """Nobody else starts or stops the service of this folder, which is made."""
    from filelock import FileLock

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "start.lock"):
            yield


def _launch(service: Service, *, attached: bool) -> subprocess.Popen[str]:
    """Start the supervisor, which starts the server; an attached one ends when its input does."""
    described = asdict(service) | {
        "folder": os.fspath(service.folder.absolute()),
        "working": os.fspath(service.working.absolute()),
        "environment": {},
        "attached": attached,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "mlops_dagster.system.supervisor", json.dumps(described)],
        env=service.environment,
        stdin=subprocess.PIPE if attached else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if service.log_to_file else None,
        start_new_session=True,
        text=True,
    )


@contextmanager
def _ended(supervisor: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """An attached supervisor, which ends with the context, and its server with it."""
    assert supervisor.stdin is not None  # noqa: S101 - it was asked for
    try:
        yield supervisor
    finally:
        supervisor.stdin.close()
        supervisor.wait()


def _await_report(service: Service, supervisor: subprocess.Popen[str]) -> Mapping[str, int]:
    """The ports that the supervisor reports when the server is healthy."""
    assert supervisor.stdout is not None  # noqa: S101 - it was asked for
    with supervisor.stdout as output:
        report = output.readline()
    if report:
        return {str(name): int(port) for name, port in json.loads(report).items()}
    if not service.log_to_file:
        raise WorkspaceUnavailable(
            f"The {service.name} did not start.", remedy="What it wrote is above."
        )
    written = service.log.read_bytes() if service.log.exists() else b""
    lines = written.decode(errors="replace").strip().splitlines()
    raise WorkspaceUnavailable(
        f"The {service.name} did not start: {lines[-1] if lines else 'it wrote nothing'}",
        remedy=f"See {service.log}.",
    )
