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
      retention.yml             how long what is not used is kept; written by hand
      substitutions.yml         what stands in for what only Azure has; written by hand
      variables.yml             environment variables that jobs get besides; written by hand
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from mlops_dagster.home import make_home
from mlops_dagster.system.sqlite import available, open_database, transaction


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
            make_home(home)
            self._database = home / "state.db"
            # The jobs' environments pass through it, so that it is its owner's alone.
            self._database.touch(mode=0o600)
            self._open_connection: _OpenConnection | None = None
            with self._connect():
                pass
        _STATES.add(self)

    def close(self) -> None:
        """Give back what this object holds; it can still be used."""
        self._open_connection = None

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
        with self._available(), self._connect() as connection, transaction(connection):
            yield connection

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        if self._open_connection is None:
            self._open_connection = _OpenConnection(self._database)
        with closing(_open(self._database)) as connection:
            yield connection

    def _available(self) -> AbstractContextManager[None]:
        return available(
            f"The workspace's state in {self.home} cannot be used",
            remedy="Check its permissions and the free space, or point MLOPS_HOME elsewhere.",
        )


class _OpenConnection:
    """A connection that is only kept open: while one is, closing another costs no checkpoint."""

    def __init__(self, database: Path) -> None:
        weakref.finalize(self, _open(database).close)


def _open(database: Path) -> sqlite3.Connection:
    return open_database(database, synchronous="NORMAL")


_STATES: weakref.WeakSet[State] = weakref.WeakSet()


def _close_all() -> None:
    """SQLite's connections must not be carried over a fork (sqlite.org/howtocorrupt.html)."""
    for state in list(_STATES):
        state.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_all)
