"""What a step has done so far, on disk: which mini batches ended, and where their rows lie.

::

    STATE/progress.db      one row for each mini batch that ended, written when it ended: by its
                           number in this run, and by its key for those that earlier runs completed
    STATE/rows/*.rows      what each worker process wrote; a row counts only if the database says so

A worker that was killed in the middle of writing leaves bytes that nothing refers to: so each mini
batch is delivered exactly once, whatever died.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlops_dagster.system import atomic
from mlops_dagster.system.sqlite import available, open_database
from mlops_dagster.workspace.local.parallel.batches import MiniBatch

DEFAULT_FILE_NAME = "parallel_run_step.txt"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mini_batch (
    batch INTEGER PRIMARY KEY, key TEXT NOT NULL, total INTEGER NOT NULL, returned INTEGER NOT NULL,
    spool TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS former (
    key TEXT PRIMARY KEY, total INTEGER NOT NULL, returned INTEGER NOT NULL,
    spool TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
BEGIN IMMEDIATE;
INSERT OR REPLACE INTO former
    SELECT key, total, returned, spool, start, length FROM mini_batch WHERE returned >= total;
DELETE FROM mini_batch;
COMMIT;
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

    Raises:
        WorkspaceUnavailable: the folder cannot be written.
    """

    def __init__(self, state: Path) -> None:
        self._rows = state / "rows"
        self._state = state
        with _available(state):
            self._rows.mkdir(parents=True, exist_ok=True)
            # What a power cut takes is run again; a killed process loses nothing.
            self._database = open_database(state / "progress.db", synchronous="OFF")
            self._database.executescript(_SCHEMA)

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
        with _available(self._state):
            row = self._database.execute(
                f"SELECT {_COLUMNS} FROM former WHERE key = ?",  # noqa: S608
                (batch.key,),
            ).fetchone()
        outcome = Outcome(*row) if row else None
        if outcome is None or (with_rows and not _has_rows(self._rows, outcome)):
            return None
        self.ended(batch, outcome)
        return outcome

    def deliver(self, target: Path) -> int:
        """Write the rows of every mini batch, in their order, whole or not at all; returns bytes.

        ``target`` may be a folder; then the file is called as Azure ML calls it.
        """
        if target.is_dir():
            target = target / DEFAULT_FILE_NAME
        with _available(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 32}"):
                left.unlink()  # a driver was killed while it wrote it
            with atomic.replacement(target) as file:
                return self._write_rows(file)

    def close(self) -> None:
        """Close the database."""
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


def _has_rows(rows: Path, outcome: Outcome) -> bool:
    if not outcome.length:
        return True
    path = rows / outcome.spool
    return path.is_file() and path.stat().st_size >= outcome.start + outcome.length


def _available(folder: Path) -> AbstractContextManager[None]:
    return available(
        f"The progress of the parallel step cannot be kept in {folder}",
        remedy="Check its permissions and the free space.",
    )
