"""What a step has done so far, on disk: which mini batches ended, and where their rows lie.

::

    STATE/progress.db      one row for each mini batch that ended, written when it ended
    STATE/rows/*.rows      what each worker process wrote; a row counts only if the database says so

A worker that was killed in the middle of writing leaves bytes that nothing refers to: so each mini
batch is delivered exactly once, whatever died.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.system import atomic
from mlops_dagster.system.sqlite import available, open_database, open_existing
from mlops_dagster.workspace.local.parallel.batches import MiniBatch

DEFAULT_FILE_NAME = "parallel_run_step.txt"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mini_batch (
    batch INTEGER PRIMARY KEY, key TEXT NOT NULL, total INTEGER NOT NULL, returned INTEGER NOT NULL,
    spool TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_key ON mini_batch (key);
"""
_COLUMNS = "total, returned, spool, start, length"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``run()`` made of a mini batch.

    Attributes:
        total, returned: items given, and elements returned.
        spool: file in ``rows`` that holds what was returned; from ``start``, ``length`` bytes.
    """

    total: int
    returned: int
    spool: str
    start: int
    length: int

    @property
    def succeeded(self) -> int:
        return min(self.total, self.returned)

    @property
    def failed(self) -> int:
        return self.total - self.succeeded


class Journal:
    """The progress of one step.

    Args:
        state: its folder; made where it does not exist, gone on from where it does.
        resume_from: the state folder of a former run whose completed mini batches count here too.

    Raises:
        InvalidRequest: ``resume_from`` holds no progress.
        WorkspaceUnavailable: the folder cannot be written.
    """

    def __init__(self, state: Path, resume_from: Path | None = None) -> None:
        self._rows = state / "rows"
        with _available(state):
            self._rows.mkdir(parents=True, exist_ok=True)
            # What a power cut takes is run again; a killed process loses nothing.
            self._database = open_database(state / "progress.db", synchronous="OFF")
            self._database.executescript(_SCHEMA)
            known = self._database.execute("SELECT count(*) FROM mini_batch").fetchone()[0]
        self._state = state
        self._sources: list[tuple[sqlite3.Connection, Path]] = []
        if known:
            self._sources.append((self._database, self._rows))
        if resume_from is not None and resume_from != state:
            self._sources.append((_former(resume_from), resume_from / "rows"))

    def spool(self, process: str) -> Path:
        """A file for the rows of a new worker process; not there yet."""
        number = 0
        while (path := self._rows / f"{process}.{number}.rows").exists():
            number += 1
        return path

    def ended(self, batch: MiniBatch, outcome: Outcome) -> None:
        """Note that a mini batch ended; from now on it and its rows count."""
        with _available(self._state):
            self._database.execute(
                "INSERT OR REPLACE INTO mini_batch VALUES (?, ?, ?, ?, ?, ?, ?)",
                (batch.index, batch.key, outcome.total, outcome.returned, outcome.spool,
                 outcome.start, outcome.length),
            )  # fmt: skip

    def completed(self, batch: MiniBatch, *, with_rows: bool) -> Outcome | None:
        """What this mini batch came to in an earlier run, taken over; None if it has to be run.

        Only one without failed items counts, and, where its rows are wanted, with its rows.
        """
        for database, rows in self._sources:
            with _available(self._state):
                found = database.execute(
                    f"SELECT {_COLUMNS} FROM mini_batch WHERE key = ? AND returned >= total",  # noqa: S608
                    (batch.key,),
                ).fetchone()
            outcome = Outcome(*found) if found else None
            if outcome is None or (with_rows and not _has_rows(rows, outcome)):
                continue
            if with_rows and rows != self._rows:
                outcome = self._copied(rows, outcome)
            self.ended(batch, outcome)
            return outcome
        return None

    def forget(self, first: int) -> None:
        """Drop what an earlier run noted from this mini batch on, where the input became shorter."""
        with _available(self._state):
            self._database.execute("DELETE FROM mini_batch WHERE batch >= ?", (first,))

    def deliver(self, target: Path) -> int:
        """Write the rows of every mini batch, in their order, whole or not at all; returns bytes.

        ``target`` may be a folder; then the file is called as Azure ML calls it.
        """
        if target.is_dir():
            target = target / DEFAULT_FILE_NAME
        with _available(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic.replacement(target) as file:
                return self._write_rows(file)

    def discard_rows(self) -> None:
        """Give back the room that the rows take, once they have been delivered."""
        shutil.rmtree(self._rows, ignore_errors=True)

    def close(self) -> None:
        """Close the databases."""
        for database, _ in self._sources:
            database.close()
        self._database.close()

    def _write_rows(self, file: BinaryIO) -> int:
        written = 0
        with closing(_Readers(self._rows)) as readers:
            for spool, start, length in self._database.execute(
                "SELECT spool, start, length FROM mini_batch WHERE length > 0 ORDER BY batch"
            ):
                for block in readers.blocks(spool, start, length):
                    written += file.write(block)
        return written

    def _copied(self, rows: Path, outcome: Outcome) -> Outcome:
        if not outcome.length:
            return Outcome(outcome.total, outcome.returned, "", 0, 0)
        target = self._rows / "resumed.rows"
        with _available(self._state), target.open("ab") as file, closing(_Readers(rows)) as readers:
            start = file.tell()
            for block in readers.blocks(outcome.spool, outcome.start, outcome.length):
                file.write(block)
        return Outcome(outcome.total, outcome.returned, target.name, start, outcome.length)


class _Readers:
    """Spool files, each opened once."""

    def __init__(self, rows: Path) -> None:
        self._rows = rows
        self._open: dict[str, int] = {}

    def blocks(self, spool: str, start: int, length: int) -> Iterator[bytes]:
        if spool not in self._open:
            self._open[spool] = os.open(self._rows / spool, os.O_RDONLY)
        end = start + length
        while start < end:
            block = os.pread(self._open[spool], min(_BLOCK, end - start), start)
            if not block:
                raise OSError(f"{spool} is shorter than the progress says")
            start += len(block)
            yield block

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)


def _former(state: Path) -> sqlite3.Connection:
    path = state / "progress.db"
    if not path.is_file():
        raise InvalidRequest(f"resume_from: {state} holds no progress of a parallel step.")
    with _available(state):
        return open_existing(path, read_only=True)


def _has_rows(rows: Path, outcome: Outcome) -> bool:
    if not outcome.length:
        return outcome.returned == 0
    path = rows / outcome.spool
    return path.is_file() and path.stat().st_size >= outcome.start + outcome.length


def _available(folder: Path) -> AbstractContextManager[None]:
    return available(
        f"The progress of the parallel step cannot be kept in {folder}",
        remedy="Check its permissions and the free space.",
    )
