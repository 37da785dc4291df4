"""A job's log lines in Dagster while it runs: all of them on stdout, a bounded part as events.

Events cost a database write and a line in the UI each, so lines are gathered into a few events a
second; after ``MOST_CHARACTERS`` the event log points to the whole log instead.
"""

from __future__ import annotations

import queue
import sys
import threading
import time

import dagster as dg

from mlops_dagster.errors import MlopsError, WorkspaceUnavailable
from mlops_dagster.workspace.ports import Jobs

MOST_CHARACTERS = 400_000
LONGEST_LINE = 2_000
_EVENT_CHARACTERS = 20_000
_SECONDS_BETWEEN_EVENTS = 0.7
_SECONDS_BETWEEN_TRIES = 1.0


class LogFollower:
    """Follows one job's log in a thread of its own; ``forward`` hands on what has come in.

    The thread only fills a bounded queue: the lines are logged by the caller's thread, which is
    the one that Dagster interrupts, and a job that writes faster than Dagster takes is not kept
    in memory.
    """

    def __init__(self, jobs: Jobs, name: str, log: dg.DagsterLogManager) -> None:
        self._jobs = jobs
        self._name = name
        self._log = log
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=10_000)
        self._ended = threading.Event()
        self._left = MOST_CHARACTERS
        self._last_event = 0.0
        self._pending: list[str] = []
        self._pending_characters = 0
        self._thread = threading.Thread(target=self._follow, name=f"log of {name}", daemon=True)
        self._thread.start()

    def forward(self, seconds: float) -> bool:
        """Hand on lines for at most ``seconds``; False once the log has come to its end."""
        deadline = time.monotonic() + seconds
        goes_on = True
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                goes_on = False
                break
            print(line, file=sys.stdout)  # noqa: T201 - Dagster captures a step's stdout
            self._pending.append(line[:LONGEST_LINE])
            self._pending_characters += len(self._pending[-1])
            if self._pending_characters > _EVENT_CHARACTERS:
                self._flush()
        sys.stdout.flush()
        if not goes_on or time.monotonic() - self._last_event > _SECONDS_BETWEEN_EVENTS:
            self._flush()
        return goes_on

    def close(self) -> None:
        """Hand on what is there already and stop following."""
        self._ended.set()
        while self._pending or not self._lines.empty():
            if not self.forward(0.05):
                break
        self._flush()

    def _flush(self) -> None:
        text = "\n".join(self._pending)
        self._pending.clear()
        self._pending_characters = 0
        if not text or self._left <= 0:
            return
        self._last_event = time.monotonic()
        self._left -= len(text)
        self._log.info(text)
        if self._left <= 0:
            self._log.warning(
                "The rest of this log is not repeated here; `mlops job logs %s` shows all of it.",
                self._name,
            )

    def _follow(self) -> None:
        seen = 0
        while not self._ended.is_set():
            try:
                for position, line in enumerate(self._jobs.stream(self._name)):
                    if position >= seen:
                        seen += 1
                        self._put(f"[{line.step}] {line.text}" if line.step else line.text)
                    if self._ended.is_set():
                        return
                break
            except WorkspaceUnavailable:
                self._ended.wait(_SECONDS_BETWEEN_TRIES)
            except MlopsError as error:
                self._put(f"This log cannot be followed: {error}")
                break
        self._put(None)

    def _put(self, line: str | None) -> None:
        while not self._ended.is_set():
            try:
                self._lines.put(line, timeout=0.5)
            except queue.Full:
                continue
            return
