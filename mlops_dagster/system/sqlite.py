"""SQLite databases of this machine: opened in one way, safe for many processes at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from mlops_dagster.errors import WorkspaceUnavailable

Durability = Literal["OFF", "NORMAL", "FULL"]


def open_database(
    file: Path, *, synchronous: Durability, wait_seconds: float = 60
) -> sqlite3.Connection:
    """A connection to a database of this package, made where there is none, in WAL mode.

    It is in autocommit mode; see ``transaction``. Rows are addressed by column name. Any thread
    may use it, one at a time.

    Args:
        synchronous: what a power cut may take: OFF may damage the database, NORMAL loses the last
            transactions, FULL loses none. A killed process loses nothing in any case. Source:
            sqlite.org/pragma.html#pragma_synchronous.
        wait_seconds: how long a statement waits for other processes.
    """
    connection = _connect(str(file), uri=False, wait_seconds=wait_seconds)
    try:
        _use_wal(connection, wait_seconds)
        connection.execute(f"PRAGMA synchronous={synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_existing(file: Path, *, read_only: bool, wait_seconds: float = 30) -> sqlite3.Connection:
    """A connection to a database as it is; raises sqlite3.OperationalError where there is none.

    Args:
        read_only: the file is not touched. A database whose writer was killed may need to be
            repaired before it can be read, which needs write access.
    """
    mode = "ro" if read_only else "rw"
    return _connect(f"{file.absolute().as_uri()}?mode={mode}", uri=True, wait_seconds=wait_seconds)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A transaction that no other writer can interleave; an exception rolls it back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def available(what: str, *, remedy: str) -> Iterator[None]:
    """Raise WorkspaceUnavailable in place of SQLite's errors and OSError.

    Args:
        what: the beginning of the message, such as ``The ledger /data/ledger.db cannot be used``.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise WorkspaceUnavailable(f"{what}: {error}.", remedy=remedy) from error


def _connect(database: str, *, uri: bool, wait_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        database, uri=uri, timeout=wait_seconds, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _use_wal(connection: sqlite3.Connection, wait_seconds: float) -> None:
    # The mode stays in the file; SQLite does not wait for others while it is changed the first time.
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
