"""Rows of the ledger as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from sqlite3 import Connection, Row

from mlops_dagster.landing.values import (
    Batch,
    BatchRecord,
    BatchState,
    Drop,
    DropOutcome,
    DropRecord,
    DropState,
    WaitingDrop,
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


def all_waiting(connection: Connection) -> Iterator[WaitingDrop]:
    """What waits, in order of arrival."""
    rows = connection.execute("SELECT * FROM drops WHERE state = 'waiting' ORDER BY position")
    for row in rows:
        record = drop_record(row)
        yield WaitingDrop(record.drop, record.offer, record.seen_at)


def state_and_reason(connection: Connection, drop_id: str) -> tuple[DropState, str | None] | None:
    """Where a drop stands, and why; None for one that is not known."""
    row = connection.execute("SELECT state, reason FROM drops WHERE id = ?", (drop_id,)).fetchone()
    return (DropState(row["state"]), row["reason"]) if row else None


def superseded(connection: Connection, arrived: Sequence[Drop], *, is_listing: bool) -> list[str]:
    """The ids of drops that need not wait, because a newer one of their path has arrived.

    What a listing shows is the newest; events come in any order, and their times decide.
    """
    replaced = []
    for path, newcomers in groupby(sorted(arrived, key=_by_path), key=lambda drop: drop.path):
        candidates = list(newcomers)
        rows = connection.execute(
            "SELECT * FROM drops WHERE path = ? AND state = 'waiting'", (path,)
        )
        waiting = [drop_record(row).drop for row in rows]
        newest = candidates[-1] if is_listing else max([*waiting, *candidates], key=_by_path)
        replaced += [drop.id for drop in [*waiting, *candidates] if drop.id != newest.id]
    return replaced


def _by_path(drop: Drop) -> tuple[str, datetime]:
    return drop.path, drop.at


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
