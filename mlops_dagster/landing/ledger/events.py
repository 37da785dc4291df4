"""What each kind of event does to the tables. Applying the same events gives the same tables."""

from __future__ import annotations

from sqlite3 import Connection
from typing import Any

from mlops_dagster.landing.values import OVERWRITTEN, Batch, BatchState, DropState, drops_from_json


def apply(connection: Connection, event: dict[str, Any]) -> None:
    """Change the tables as the event says. Raises KeyError for a kind that is unknown here."""
    _APPLY[event["kind"]](connection, event)


def _add_drops(connection: Connection, event: dict[str, Any]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO drops (id, path, etag, size, at, seen_at, state, offer)"
        " VALUES (?, ?, ?, ?, ?, ?, 'waiting', 1)",
        (
            (drop.id, drop.path, drop.etag, drop.size, drop.at.isoformat(), event["at"])
            for drop in drops_from_json(event["drops"])
        ),
    )
    for drop in event.get("returned", ()):
        _offer_again(connection, {"drop": drop, "at": event["at"]})
    connection.executemany(
        "UPDATE drops SET state = ?, reason = ? WHERE id = ? AND state = ?",
        (
            (DropState.SUPERSEDED, OVERWRITTEN, drop, DropState.WAITING)
            for drop in event.get("superseded", ())
        ),
    )
    connection.executemany("INSERT OR REPLACE INTO markers VALUES (?, ?)", event["markers"])
    if event["source"] is not None:
        connection.execute(
            "INSERT OR REPLACE INTO cursors VALUES (?, ?)", (event["source"], event["cursor"])
        )


def _add_batches(connection: Connection, event: dict[str, Any]) -> None:
    for text in event["batches"]:
        batch = Batch.from_json(text)
        connection.execute(
            "INSERT INTO batches (id, manifest, state, attempt) VALUES (?, ?, ?, 1)",
            (batch.id, text, BatchState.WAITING),
        )
        connection.executemany(
            "UPDATE drops SET state = 'batched', batch = ? WHERE id = ?",
            ((batch.id, drop.id) for drop in batch.drops),
        )


def _divide_batch(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(
        "UPDATE batches SET state = ?, error = ? WHERE id = ?",
        (BatchState.DIVIDED, event["error"], event["batch"]),
    )
    _add_batches(connection, event)
    connection.executemany(
        "UPDATE batches SET failures = ?, due = ?, error = ? WHERE id = ?",
        (
            (failures, event["due"], event["error"], Batch.from_json(text).id)
            for text, failures in zip(event["batches"], event["failures"], strict=True)
        ),
    )


def _update_batch(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(
        "UPDATE batches SET state = ?, attempt = ?, error = ? WHERE id = ?",
        (event["state"], event["attempt"], event["error"], event["batch"]),
    )
    if "failures" in event:
        connection.execute(
            "UPDATE batches SET failures = ?, interruptions = ?, due = ? WHERE id = ?",
            (event["failures"], event["interruptions"], event["due"], event["batch"]),
        )


def _freeze_results(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(
        "UPDATE batches SET state = ?, job = ?, facts = ?, model = ?, frozen_at = ? WHERE id = ?",
        (
            BatchState.COMMITTING,
            event["job"],
            event["facts"],
            event["model"],
            event["at"],
            event["batch"],
        ),
    )


def _give_up_batch(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(
        "UPDATE batches SET state = ?, error = ? WHERE id = ?",
        (BatchState.FAILED, event["error"], event["batch"]),
    )
    connection.execute(
        "UPDATE drops SET state = ?, reason = ? WHERE batch = ? AND state = ?",
        (DropState.FAILED, event["error"], event["batch"], DropState.BATCHED),
    )


def _close_batch(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(
        "UPDATE batches SET state = ?, error = NULL WHERE id = ?",
        (BatchState.DONE, event["batch"]),
    )
    connection.executemany(
        "UPDATE drops SET state = :state, rows = :rows, scored = :scored,"
        " quarantined = :quarantined, reason = :reason WHERE id = :id",
        ({"id": drop, **outcome} for drop, outcome in event["drops"].items()),
    )


def _offer_again(connection: Connection, event: dict[str, Any]) -> None:
    connection.execute(
        "UPDATE drops SET state = ?, offer = offer + 1, batch = NULL, seen_at = ?, rows = NULL,"
        " scored = NULL, quarantined = NULL, reason = NULL WHERE id = ?",
        (DropState.WAITING, event["at"], event["drop"]),
    )


_APPLY = {
    "seen": _add_drops,
    "cut": _add_batches,
    "divided": _divide_batch,
    "batch": _update_batch,
    "frozen": _freeze_results,
    "parked": _give_up_batch,
    "closed": _close_batch,
    "offered": _offer_again,
}
