"""The local workspace's state: one folder, one SQLite database, safe for many processes at once.

::

    .mlops/
      state.db                  jobs, data, models (WAL mode)
      jobs/NAME/                plan, logs and working directory of a job
      snapshots/DIGEST/         code, one copy a content
      datastores/NAME/          what azureml://datastores/NAME/paths/ addresses
      mlflow/                   MLflow's own store
      environments/DIGEST/      virtual environments of isolated jobs, one a content
      cache/downloads/          files from the network
      substitutions.yml         what stands in for what only Azure has; written by hand
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import WorkspaceUnavailable


class State:
    """The database of one home; each module of the workspace brings its own tables.

    Args:
        home: the state folder; made where it does not exist.

    Raises:
        WorkspaceUnavailable: the folder or the database cannot be written.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        with self._available():
            home.mkdir(parents=True, exist_ok=True)
            self._database = home / "state.db"
            # The jobs' environments pass through it, so that it is its owner's alone.
            self._database.touch(mode=0o600)
            self._held: _Held | None = None
            with self._connect():
                pass
        _OPEN.add(self)

    def close(self) -> None:
        """Give back what this object holds; it can still be used."""
        self._held = None

    def create(self, schema: str) -> None:
        """Run ``CREATE ... IF NOT EXISTS`` statements."""
        with self._available(), self._connect() as connection:
            connection.executescript(schema)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries; rows are addressed by column name."""
        with self._available(), self._connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer can interleave; an exception takes it back."""
        with self._available(), self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        if self._held is None:
            self._held = _Held(self._database)
        connection = _open(self._database)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
            raise WorkspaceUnavailable(
                f"The workspace's state in {self.home} cannot be used: {error}.",
                remedy="Check its permissions and the free space, or point MLOPS_HOME elsewhere.",
            ) from error


class _Held:
    """A connection that is only open: while one is, closing another costs no checkpoint."""

    def __init__(self, database: Path) -> None:
        weakref.finalize(self, _open(database).close)


_OPEN: weakref.WeakSet[State] = weakref.WeakSet()


def _let_go() -> None:
    """SQLite's connections must not be carried over a fork (sqlite.org/howtocorrupt.html)."""
    for state in list(_OPEN):
        state.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_let_go)


def _open(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        database, timeout=60, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    # The mode stays in the file; SQLite does not wait for others while it is changed the first time.
    deadline = time.monotonic() + 60
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                connection.close()
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
