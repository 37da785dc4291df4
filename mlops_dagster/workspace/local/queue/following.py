"""Following a job's log, and those of its steps, while they are written."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.queue import queue
from mlops_dagster.workspace.local.records.logs import Follower, log_file
from mlops_dagster.workspace.ports import JobStatus, LogLine

_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


def follow(state: State, name: str) -> Iterator[LogLine]:
    """The lines of a job and of all below it, from the first, until it has ended."""
    steps = _Steps(state, name)
    pause = _SHORTEST_PAUSE
    try:
        while True:
            queue.advance(state)
            ended = steps.look()  # before reading: what was written until then is read below
            silent = True
            for line in steps.lines():
                silent = False
                yield line
            if ended:
                return
            pause = min(pause * 1.3, _LONGEST_PAUSE) if silent else _SHORTEST_PAUSE
            time.sleep(pause)
    finally:
        steps.close()


class _Steps:
    """The logs of a job and of what is below it."""

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = name
        self._open: dict[str, Follower] = {}
        self._labels: dict[str, str] = {}
        self._ended: set[str] = set()
        self._done: set[str] = set()

    def look(self) -> bool:
        """See which jobs have begun and ended since; whether the one asked for has."""
        with self._state.read() as connection:
            rows = connection.execute(
                "WITH RECURSIVE family (name, label, status, started_at) AS ("
                " SELECT name, '', status, started_at FROM jobs WHERE name = ? UNION ALL"
                " SELECT jobs.name, ltrim(family.label || '.' || jobs.step, '.'), jobs.status,"
                " jobs.started_at FROM jobs JOIN family ON jobs.parent = family.name)"
                " SELECT * FROM family WHERE status NOT IN (?, ?) ORDER BY started_at",
                (self._name, JobStatus.NOT_STARTED, JobStatus.QUEUED),
            ).fetchall()
        for row in rows:
            job = row["name"]
            if job not in self._done:
                self._labels[job] = row["label"]
                self._open.setdefault(job, Follower(log_file(self._state.home, job)))
                if JobStatus(row["status"]).is_terminal:
                    self._ended.add(job)
        return self._name in self._ended

    def lines(self) -> Iterator[LogLine]:
        """What has come since; the log of a job that has ended, to its end."""
        for job, follower in sorted(self._open.items(), key=self._is_last):
            over = job in self._ended
            for text in follower.lines(final=over):
                yield LogLine(job, self._labels[job], text)
            if over:
                follower.close()
                del self._open[job]
                self._done.add(job)

    def _is_last(self, item: tuple[str, Follower]) -> bool:
        """A pipeline's own last lines are about its steps, whose lines come first."""
        return item[0] == self._name and self._name in self._ended

    def close(self) -> None:
        """Give the files back."""
        for follower in self._open.values():
            follower.close()
