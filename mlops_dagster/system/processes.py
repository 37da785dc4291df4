"""Processes of a job: started in groups of their own, waited for, ended to the last one.

A job's processes are known by their process group, by their session, by descent, and by a mark in
their environment, which they inherit wherever they fork to. The mark finds them when the process
that started them is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import psutil

MARK = "MLOPS_JOB"
GRACE_SECONDS = 5.0


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
    started: Callable[[int], None] = lambda _: None,
) -> Ending:
    """Run processes side by side until all have ended, or one has failed, or they are to end.

    None of them, and nothing that they have started, is left when this returns.

    Args:
        folder: their current directory.
        log: file descriptor that takes what they write, to either stream, in order.
        mark: value of the environment variable ``MARK`` that tells them from all others.
        timeout: seconds until they are ended.
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
            process = subprocess.Popen(
                launch.argv,
                cwd=folder,
                env={**launch.environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            processes.append(process)
            threading.Thread(target=_await, args=(process, events), daemon=True).start()
        started(processes[0].pid)
        awaited = sum(not launch.serves for launch in launches)
        serving = [
            process for process, launch in zip(processes, launches, strict=True) if launch.serves
        ]
        return _outcome(awaited, serving, events, cancellation, deadline)
    finally:
        end(mark, [process.pid for process in processes])
        for process in processes:
            process.wait()


def end(mark: str, leaders: Collection[int] = (), *, grace: float = GRACE_SECONDS) -> int:
    """End every process of a job: ask, wait up to ``grace`` seconds, then insist.

    Args:
        leaders: process ids of the groups and sessions that the job's processes were started in.

    Returns:
        How many there were.
    """
    left = members(mark, leaders)
    found = len(left)
    deadline = time.monotonic() + grace
    signals = dict.fromkeys(left, signal.SIGTERM) if grace > 0 else {}
    for pid in signals:
        _signal(pid, signal.SIGTERM)
    pause = 0.01
    while left:
        if time.monotonic() >= deadline:
            for pid in left:
                _signal(pid, signal.SIGKILL)
            if time.monotonic() > deadline + 10:  # in the kernel, beyond every signal
                return found
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
        left = members(mark, leaders)
        for pid in [pid for pid in left if pid not in signals and grace > 0]:
            signals[pid] = signal.SIGTERM
            _signal(pid, signal.SIGTERM)
    return found


def members(mark: str, leaders: Collection[int] = ()) -> list[int]:
    """The living processes of a job."""
    import psutil

    children: dict[int, list[int]] = {}
    found: list[int] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            children.setdefault(process.ppid(), []).append(process.pid)
            if _belongs(process, mark, leaders) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    known = set(found)
    for pid in found:  # grows while it is walked: descent reaches what cleared its environment
        further = [child for child in children.get(pid, ()) if child not in known]
        known.update(further)
        found += further
    return found


def identity(pid: int) -> tuple[int, float]:
    """A process, told from later ones of the same number: its id and when it was created."""
    import psutil

    try:
        return pid, psutil.Process(pid).create_time()
    except psutil.Error:
        return pid, 0.0


def is_alive(pid: int, created: float) -> bool:
    """Whether the process of this ``identity`` still runs."""
    return identity(pid) == (pid, created) and created > 0


def _belongs(process: psutil.Process, mark: str, leaders: Collection[int]) -> bool:
    pid = process.pid
    if leaders and (os.getpgid(pid) in leaders or os.getsid(pid) in leaders):
        return True
    import psutil

    with suppress(psutil.Error):
        return process.environ().get(MARK) == mark
    return False


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


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
