"""The ledger's SQLite file: its tables, and connections that wait for one another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

from mlops_dagster.system.sqlite import available, open_database, transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS drops (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    state TEXT NOT NULL,
    offer INTEGER NOT NULL,
    batch TEXT,
    rows INTEGER,
    scored INTEGER,
    quarantined INTEGER,
    reason TEXT
);
CREATE INDEX IF NOT EXISTS drops_by_state ON drops (state, position);
CREATE INDEX IF NOT EXISTS drops_by_batch ON drops (batch);
CREATE INDEX IF NOT EXISTS drops_by_path ON drops (path);
CREATE TABLE IF NOT EXISTS batches (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    manifest TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    error TEXT,
    job TEXT,
    facts TEXT,
    model TEXT,
    frozen_at TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    due TEXT
);
CREATE INDEX IF NOT EXISTS batches_by_state ON batches (state, position);
CREATE TABLE IF NOT EXISTS markers (folder TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, signature TEXT NOT NULL, etag TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS digests (id TEXT PRIMARY KEY, digest TEXT NOT NULL);
"""
# Columns that older ledgers lack; they are last in their tables, as a copy of the tables expects.
_LATER_COLUMNS = {
    "batches": (
        "failures INTEGER NOT NULL DEFAULT 0",
        "interruptions INTEGER NOT NULL DEFAULT 0",
        "due TEXT",
    ),
}


class Database:
    """Connections to one file.

    Raises WorkspaceUnavailable where it cannot be made, read or written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._available():
            file.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                connection.executescript(_TABLES)
                _add_later_columns(connection)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries."""
        with self._available(), self._connection() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer can interleave; an exception takes it back."""
        with self._available(), self._connection() as connection, transaction(connection):
            yield connection

    def _connection(self) -> AbstractContextManager[sqlite3.Connection]:
        # A batch that was written down must outlast a power cut: its run may have begun.
        return closing(open_database(self._file, synchronous="FULL"))

    def _available(self) -> AbstractContextManager[None]:
        return available(
            f"The ledger {self._file} cannot be used",
            remedy="Check its permissions and the free space.",
        )


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns, in their order."""
    return [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]


def _add_later_columns(connection: sqlite3.Connection) -> None:
    for table, later in _LATER_COLUMNS.items():
        missing = [each for each in later if each.split()[0] not in columns(connection, table)]
        for definition in missing:
            # Another process may be adding it at the same time.
            with suppress(sqlite3.OperationalError):
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
