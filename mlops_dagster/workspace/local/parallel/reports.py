"""What a person can read of a step: progress on the driver's stdout, and the files below ``logs``."""

from __future__ import annotations

import csv
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

_COLUMNS = (
    "Mini-batch Id",
    "Picked Count",
    "Process",
    "Process End Time",
    "Total",
    "Succeeded",
    "Failed",
    "Elapsed Seconds",
    "Process Seconds",
    "Run Method Seconds",
    "Status",
    "Error Category",
    "Error Message",
)
_LONGEST_PAUSE = 10.0
_ERRORS_IN_SUMMARY = 1_000


class Reports:
    """Counts what happens in a step and writes it down.

    Args:
        logs: the folder for the files that the package's docstring lists.
        out: takes the progress lines.

    Attributes:
        ended, failed, resumed: mini batches.
        items, failed_items: files or rows.
        known: mini batches that have been cut so far.
        total: mini batches of the whole step; None until the input has been cut to its end.
        last_error: the first line of the newest error of the script; of a mini batch that has failed,
            of its first try.
    """

    def __init__(self, logs: Path, out: TextIO) -> None:
        self._logs = logs
        self._out = out
        self._started = time.monotonic()
        self._next = self._started + 1
        self._pause = 1.0
        self._listed_errors = 0
        table = logs / "sys" / "job_report" / "processed_mini-batches.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        self._table = table.open("a", encoding="utf-8", errors="backslashreplace")
        self._tries = csv.writer(self._table, lineterminator="\n")
        if not self._table.tell():
            self._tries.writerow(_COLUMNS)
        self._shown = (-1, -1)
        self.ended = self.failed = self.resumed = 0
        self.items = self.failed_items = 0
        self.known = 0
        self.total: int | None = None
        self.last_error = ""

    def tried(
        self,
        batch: int,
        attempt: int,
        process: str,
        status: str,
        *,
        answer: dict[str, Any],
        failed: int,
    ) -> None:
        """One try of one mini batch, for the table of all of them."""
        total = answer.get("total")
        self._tries.writerow(
            (
                batch,
                attempt,
                process,
                datetime.now(UTC).isoformat(timespec="milliseconds"),
                "" if total is None else total,
                "" if total is None else max(total - failed, 0),
                failed,
                _seconds(answer.get("seconds")),
                _seconds(answer.get("cpu_seconds")),
                _seconds(answer.get("run_seconds")),
                status,
                answer.get("category", ""),
                answer.get("error", ""),
            )
        )

    def error(self, node: str, process: str, where: str, error: str, trace: str = "") -> None:
        """An error of the script, or the end of a worker: a line in the summary, the trace apart."""
        self.last_error = error
        # A million failing mini batches do not need a million lines twice.
        self._listed_errors += 1
        if self._listed_errors <= _ERRORS_IN_SUMMARY:
            self._line("user/error.txt", f"{where}, {process}: {error}")
            told = trace.rstrip() or error
            self._line(f"user/error/{node}/{process}.txt", f"{_now()} {where}\n{told}\n")

    def note(self, text: str) -> None:
        """Something that a person wants to know, at once."""
        self._out.write(f"{text}\n")
        self._out.flush()
        self._line("job_progress_overview.txt", f"{_now()} {text}")

    def progress(self) -> None:
        """A line of progress, where there is some and the last one is long enough ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        self._next = now + self._pause
        if (shown := (self.ended, self.failed)) != self._shown:
            self._shown = shown
            self.note(self._counts())
        self._table.flush()

    def finish(self, result: str) -> None:
        """The counts and the result, as the last lines."""
        self.note(self._counts())
        self.note(result)
        self._table.close()

    def _counts(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        total = f"{self.known}+" if self.total is None else str(self.total)
        resumed = f", {self.resumed} of them in an earlier run" if self.resumed else ""
        failed = f"{self.failed} mini batches and {self.failed_items} items failed"
        return (
            f"{self.ended}/{total} mini batches{resumed}, {self.items} items, "
            f"{self.items / seconds:.1f} items/s, {failed}"
        )

    def _line(self, name: str, text: str) -> None:
        path = self._logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text + "\n")


def _seconds(value: Any) -> str:
    return "" if value is None else f"{value:.4f}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
