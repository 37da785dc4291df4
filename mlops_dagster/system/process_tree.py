"""Trees of processes: known from others of the machine, and ended to the last one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "MLOPS_JOB"
GRACE_SECONDS = 5.0
# A process that is in the kernel, beyond every signal, is given up after this time.
_KILL_SECONDS = 10.0


class ProcessTree:
    """The processes that belong together, wherever they have forked to.

    They are known by their process group and session, by descent, and by a mark in their
    environment, which finds them when the process that started them is gone. One that was seen
    once stays known, so that it is ended even if it has left all of these behind.

    Args:
        leaders: process ids of the groups and sessions that the processes were started in.
        mark: value of the environment variable ``MARK`` that tells them from all others.
        parent: a process whose descendants belong to the tree, though it does not itself.
    """

    def __init__(
        self,
        leaders: Collection[int] = (),
        *,
        mark: str | None = None,
        parent: int | None = None,
    ) -> None:
        self._leaders = frozenset(leaders)
        self._mark = mark
        self._parent = parent
        self._seen: set[psutil.Process] = set()

    def living(self) -> set[psutil.Process]:
        """The processes of the tree that run now."""
        import psutil

        children: dict[int, list[psutil.Process]] = {}
        found = {process for process in self._seen if _runs(process)}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                children.setdefault(process.ppid(), []).append(process)
                if self._belongs(process) and _runs(process):
                    found.add(process)
        roots = [process.pid for process in found]
        if self._parent is not None:
            roots.append(self._parent)
        found.update(process for process in _descendants(roots, children) if _runs(process))
        self._seen = found
        return set(found)

    def end(self, *, interrupt_seconds: float = 0.0, grace: float = GRACE_SECONDS) -> int:
        """End the processes: SIGTERM, up to ``grace`` seconds, then SIGKILL.

        Args:
            interrupt_seconds: how long the leaders, asked with SIGINT, have before that to end the
                others themselves.
            grace: 0 for SIGKILL at once.

        Returns:
            How many there were.
        """
        left = self.living()
        count = len(left)
        if interrupt_seconds > 0:
            leaders = {process for process in left if process.pid in self._leaders}
            _signal(leaders, signal.SIGINT)
            left = self._await_end(interrupt_seconds, of=leaders)
        asked: set[psutil.Process] = set()
        deadline = time.monotonic() + grace
        pauses = _pauses()
        while left and time.monotonic() < deadline:
            _signal(left - asked, signal.SIGTERM)
            asked |= left
            time.sleep(next(pauses))
            left = self.living()
        deadline = time.monotonic() + _KILL_SECONDS
        pauses = _pauses()
        while left and time.monotonic() < deadline:
            _signal(left, signal.SIGKILL)
            time.sleep(next(pauses))
            left = self.living()
        return count

    def _await_end(self, seconds: float, *, of: set[psutil.Process]) -> set[psutil.Process]:
        deadline = time.monotonic() + seconds
        pauses = _pauses()
        while (left := self.living()) & of and time.monotonic() < deadline:
            time.sleep(next(pauses))
        return left

    def _belongs(self, process: psutil.Process) -> bool:
        pid = process.pid
        if os.getpgid(pid) in self._leaders or os.getsid(pid) in self._leaders:
            return True
        if self._mark is None:
            return False
        return process.environ().get(MARK) == self._mark


def kill_group(leader: int) -> None:
    """Kill the processes of the group that ``leader`` leads, as far as there are any."""
    # macOS answers for a group of ended processes that it is not permitted.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def identity(pid: int) -> tuple[int, float]:
    """A process, told from later ones of the same number: its id and when it was created."""
    import psutil

    try:
        return pid, psutil.Process(pid).create_time()
    except psutil.Error:
        return pid, 0.0


def is_alive(pid: int, created: float) -> bool:
    """Whether the process of this ``identity`` still runs; one that only waits to be reaped does not."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return created > 0 and process.create_time() == created and _runs(process)
    return False


def _runs(process: psutil.Process) -> bool:
    import psutil

    with suppress(psutil.Error):
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    return False


def _descendants(
    roots: list[int], children: dict[int, list[psutil.Process]]
) -> Iterator[psutil.Process]:
    known = set(roots)
    while roots:
        for child in children.get(roots.pop(), ()):
            if child.pid not in known:
                known.add(child.pid)
                roots.append(child.pid)
                yield child


def _signal(processes: Collection[psutil.Process], number: signal.Signals) -> None:
    import psutil

    # Parents first: a shell that outlives its child for a moment would report how that ended.
    for process in sorted(processes, key=lambda each: (each.create_time(), each.pid)):
        with suppress(psutil.Error):
            process.send_signal(number)


def _pauses() -> Iterator[float]:
    pause = 0.01
    while True:
        yield pause
        pause = min(pause * 1.5, 0.1)
