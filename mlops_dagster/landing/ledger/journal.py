"""The journal of a shared ledger: numbered events, each put only where none is.

From time to time a copy of the tables is put beside it, so that a new machine reads the newest
copy and only the events after it.
"""

from __future__ import annotations

import json
import zlib
from sqlite3 import Connection
from typing import Any

from mlops_dagster.landing.ledger.database import columns
from mlops_dagster.landing.ledger.events import apply
from mlops_dagster.objects import ObjectStore

_COPY_EVERY = 500
_TABLES = ("drops", "batches", "markers", "cursors", "journal")


class Journal:
    """Follows and extends the journal in a store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def follow(self, connection: Connection) -> None:
        """Apply every event that the tables do not hold yet; within the caller's transaction."""
        position = _position(connection)
        if position == 0:
            position = self._start_from_copy(connection)
        while (text := self._store.read(_name(position + 1))) is not None:
            position += 1
            apply(connection, json.loads(text))
            _set_position(connection, position)

    def append(self, connection: Connection, event: dict[str, Any]) -> bool:
        """Put the event as the next one; False where somebody else was first.

        The caller applies it. Where this process dies in between, ``follow`` does.
        """
        position = _position(connection) + 1
        text = json.dumps(event).encode()
        if not self._store.put_if_absent(_name(position), text):
            return False
        if position % _COPY_EVERY == 0:
            self._put_copy(connection, position - 1)
        _set_position(connection, position)
        return True

    def _put_copy(self, connection: Connection, position: int) -> None:
        """Put the tables as the events up to ``position`` made them."""
        lines = [
            json.dumps([table, *row])
            for table in _TABLES
            for row in connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - named above
        ]
        packed = zlib.compress("\n".join(lines).encode())
        self._store.put_if_absent(f"copies/{position:012d}", packed)

    def _start_from_copy(self, connection: Connection) -> int:
        names = self._store.names("copies/")
        packed = self._store.read(max(names)) if names else None
        if packed is None:
            return 0
        for line in zlib.decompress(packed).decode().split("\n"):
            table, *row = json.loads(line)
            # A copy that an older version made has fewer columns.
            filled = ", ".join(columns(connection, table)[: len(row)])
            marks = ", ".join("?" * len(row))
            query = f"INSERT INTO {table} ({filled}) VALUES ({marks})"  # noqa: S608 - as above
            connection.execute(query, row)
        return _position(connection)


def _name(position: int) -> str:
    return f"journal/{position:012d}.json"


def _position(connection: Connection) -> int:
    row = connection.execute("SELECT position FROM journal").fetchone()
    return int(row[0]) if row else 0


def _set_position(connection: Connection, position: int) -> None:
    connection.execute("DELETE FROM journal")
    connection.execute("INSERT INTO journal VALUES (?)", (position,))
