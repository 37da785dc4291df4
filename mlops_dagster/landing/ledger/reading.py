"""Rows of the ledger as values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from sqlite3 import Connection, Row

from mlops_dagster.landing.values import (
    Batch,
    BatchRecord,
    BatchState,
    Drop,
    DropOutcome,
    DropRecord,
    DropState,
    Waiting,
)

_UNENDED = (DropState.WAITING, DropState.BATCHED)


def batch_record(row: Row) -> BatchRecord:
    """A row of ``batches``."""
    return BatchRecord(
        batch=Batch.from_json(row["manifest"]),
        state=BatchState(row["state"]),
        attempt=row["attempt"],
        error=row["error"],
        failures=row["failures"],
        interruptions=row["interruptions"],
        due=datetime.fromisoformat(row["due"]) if row["due"] else None,
    )


def drop_record(row: Row) -> DropRecord:
    """A row of ``drops``."""
    state = DropState(row["state"])
    drop = Drop(row["path"], row["etag"], row["size"], datetime.fromisoformat(row["at"]))
    outcome = None
    if state not in _UNENDED:
        outcome = DropOutcome(
            state, row["rows"], row["scored"] or 0, row["quarantined"] or 0, row["reason"]
        )
    seen_at = datetime.fromisoformat(row["seen_at"])
    return DropRecord(drop, state, row["offer"], seen_at, row["batch"], outcome)


def all_waiting(connection: Connection) -> Iterator[Waiting]:
    """What waits, in order of arrival; a path's etags wait for the newest of them to settle."""
    rows = connection.execute(
        "SELECT *, (SELECT max(seen_at) FROM drops AS other WHERE other.path = drops.path"
        " AND other.state = 'waiting') AS since"
        " FROM drops WHERE state = 'waiting' ORDER BY position"
    )
    for row in rows:
        record = drop_record(row)
        yield Waiting(record.drop, record.offer, datetime.fromisoformat(row["since"]))


def knows_marker(connection: Connection, folder: str, at: datetime) -> bool:
    """Whether a marker of that folder was seen that is not older."""
    row = connection.execute("SELECT at FROM markers WHERE folder = ?", (folder,)).fetchone()
    return row is not None and datetime.fromisoformat(row["at"]) >= at


def is_marked(connection: Connection, drop: Drop) -> bool:
    """Whether a folder above the drop has a marker that is not older than the drop."""
    folder = drop.path
    while folder:
        folder = folder.rpartition("/")[0]
        if knows_marker(connection, folder, drop.at):
            return True
    return False


def longest_waiting(connection: Connection) -> datetime | None:
    """Since when the oldest drop without an end waits."""
    row = connection.execute(
        "SELECT min(seen_at) FROM drops WHERE state IN (?, ?)", _UNENDED
    ).fetchone()
    return datetime.fromisoformat(row[0]) if row[0] else None
