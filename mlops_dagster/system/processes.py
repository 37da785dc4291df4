"""Processes of a job: started in sessions of their own, waited for, ended to the last one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from mlops_dagster.system.permissions import start_without_override
from mlops_dagster.system.process_tree import MARK, ProcessTree

# Where orphans can be adopted, every process runs below one that ends what it leaves behind.
_REAPER = (
    (sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py")))
    if sys.platform == "linux"
    else ()
)


@dataclass(frozen=True)
class Launch:
    """A process to be started: its arguments and whole environment.

    Attributes:
        serves: whether it only serves the others, and is ended when they have.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    serves: bool = False


@dataclass(frozen=True)
class Ending:
    """How a job's processes ended; ``status`` as in ``subprocess``: negative for a signal."""

    how: Literal["exited", "canceled", "timed out"]
    status: int = 0


class Cancellation:
    """Somebody's wish that a job ends; wakes whoever waits for the job's processes."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.reason = "It was canceled."

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def request(self, reason: str | None = None) -> None:
        """Ask, and say why; asking again changes nothing."""
        with self._lock:
            if reason is not None and not self.requested:
                self.reason = reason
            self._requested.set()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when somebody asks, or at once where somebody has."""
        with self._lock:
            self._listeners.append(listener)
        if self.requested:
            listener()


def run(
    launches: Sequence[Launch],
    *,
    folder: Path,
    log: int,
    mark: str,
    cancellation: Cancellation,
    timeout: float | None = None,
    override_permissions: bool = True,
    started: Callable[[int], None] = lambda _: None,
) -> Ending:
    """Run processes side by side until all have ended, or one has failed, or they are to end.

    None of them, and nothing that they have started, is left when this returns.

    Args:
        folder: their current directory.
        log: file descriptor that takes what they write, to either stream, in order.
        mark: value of the environment variable ``MARK`` that tells them from all others.
        timeout: seconds until they are ended.
        override_permissions: whether they may, as root, write where permissions forbid it.
        started: called with the first one's process id.

    Raises:
        OSError: one could not be started; the others were ended.
    """
    events: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
    processes: list[subprocess.Popen[bytes]] = []
    deadline = None if timeout is None else time.monotonic() + timeout
    cancellation.listen(lambda: events.put(None))
    try:
        for launch in launches:
            start = partial(_start, launch, folder, log, mark)
            process = start() if override_permissions else start_without_override(start)
            processes.append(process)
            threading.Thread(target=_await, args=(process, events), daemon=True).start()
        started(processes[0].pid)
        awaited = sum(not launch.serves for launch in launches)
        serving = [
            process for process, launch in zip(processes, launches, strict=True) if launch.serves
        ]
        return _outcome(awaited, serving, events, cancellation, deadline)
    finally:
        ProcessTree([process.pid for process in processes], mark=mark).end()
        for process in processes:
            process.wait()


def _start(launch: Launch, folder: Path, log: int, mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*_REAPER, *launch.argv],
        cwd=folder,
        env={**launch.environment, MARK: mark},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _await(
    process: subprocess.Popen[bytes], events: SimpleQueue[subprocess.Popen[bytes] | None]
) -> None:
    process.wait()
    events.put(process)


def _outcome(
    left: int,
    serving: Sequence[subprocess.Popen[bytes]],
    events: SimpleQueue[subprocess.Popen[bytes] | None],
    cancellation: Cancellation,
    deadline: float | None,
) -> Ending:
    while left:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            process = events.get(timeout=remaining)
        except Empty:
            return Ending("timed out")
        if process is not None:
            left -= process not in serving
            if process.returncode:
                return _canceled_or(cancellation, process.returncode)
        elif cancellation.requested:
            return Ending("canceled")
    return _canceled_or(cancellation, 0)


def _canceled_or(cancellation: Cancellation, status: int) -> Ending:
    """A command that fails because it is ended from outside was canceled; one that is done is not."""
    return Ending("canceled") if cancellation.requested and status else Ending("exited", status)
