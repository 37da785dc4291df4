"""The ledger: every change is an event, decided and applied under one lock.

Alone on a machine the database is the truth. Shared by machines, the truth is a journal of
numbered, immutable objects that are only put where none is; the database is then this machine's
copy of it, brought up to date before every change. Two machines that decide at once ask for the
same number: one wins, the other applies what won and decides again. So in both cases no drop is
ever in two batches, and a batch that was written down is never cut another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from mlops_dagster.errors import Conflict, NotFound
from mlops_dagster.landing.ledger.database import Database
from mlops_dagster.landing.ledger.events import apply
from mlops_dagster.landing.ledger.files import FileIndex
from mlops_dagster.landing.ledger.journal import Journal
from mlops_dagster.landing.ledger.reading import (
    all_waiting,
    batch_record,
    drop_record,
    is_marked,
    knows_marker,
    longest_waiting,
    state_and_reason,
    superseded,
)
from mlops_dagster.landing.retries import (
    Division,
    Failure,
    GivingUp,
    Retry,
    after_failure,
    is_due,
)
from mlops_dagster.landing.rules import Rules
from mlops_dagster.landing.values import (
    Batch,
    BatchRecord,
    BatchState,
    Drop,
    DropOutcome,
    DropRecord,
    DropState,
    Reason,
    WaitingDrop,
    drops_to_json,
    now,
)
from mlops_dagster.objects import ObjectStore

Event = dict[str, Any]
_OPEN = tuple(state for state in BatchState if state.is_open)


@dataclass(frozen=True)
class FrozenResults:
    """What a batch's tables get, decided once and for all before the first row is committed.

    Attributes:
        job: whose outputs; None where no drop could be staged.
        facts: JSON of what staging found of each drop.
        model, at: what every row carries; ``at`` in ISO form.
    """

    job: str | None
    facts: str
    model: str
    at: str


class Ledger:
    """The ledger of one project's landing.

    Args:
        database: an SQLite file; made, with its folder, where it does not exist.
        shared: where machines that share the ledger keep its journal; None for one machine.

    Attributes:
        files: what this machine knows of the files of a watched folder.

    Every method may raise WorkspaceUnavailable; nothing was changed then.
    """

    def __init__(self, database: Path, *, shared: ObjectStore | None = None) -> None:
        self._database = Database(database)
        self._journal = Journal(shared) if shared is not None else None
        self.files = FileIndex(self._database)

    @property
    def is_shared(self) -> bool:
        """Whether other machines work on it, so that every look at it asks for their news."""
        return self._journal is not None

    def cursor(self, source: str) -> str | None:
        """Where the last scan of a source stopped."""
        self._catch_up()
        with self._database.read() as connection:
            row = connection.execute("SELECT cursor FROM cursors WHERE source = ?", (source,))
            found = row.fetchone()
        return found["cursor"] if found else None

    def record_drops(
        self,
        drops: Sequence[Drop],
        *,
        markers: Iterable[tuple[str, datetime]] = (),
        source: str | None = None,
        cursor: str | None = None,
        is_listing: bool = True,
    ) -> int:
        """Write down what a page holds, and its cursor, in one; how many drops were new.

        Of a path, only the newest drop goes on waiting; the others are superseded. With
        ``is_listing``, the drops are there now: one that was gone, or that another version of its
        file had replaced before it was read, is offered again.
        """
        given = {drop.id: drop for drop in drops}
        given_marks = list(markers)

        def decide(connection: Connection) -> Event | None:
            marks = [
                [folder, at.isoformat()]
                for folder, at in given_marks
                if not knows_marker(connection, folder, at)
            ]
            known = {drop: state_and_reason(connection, drop) for drop in given}
            fresh = [drop for drop in given.values() if known[drop.id] is None]
            returned = [
                drop for drop in given.values() if is_listing and _may_return(known[drop.id])
            ]
            row = connection.execute("SELECT cursor FROM cursors WHERE source = ?", (source,))
            before = row.fetchone()
            is_moved = source is not None and (before is None or before["cursor"] != cursor)
            if not fresh and not returned and not marks and not is_moved:
                return None
            return {
                "kind": "seen",
                "drops": drops_to_json(fresh),
                "returned": [drop.id for drop in returned],
                "superseded": superseded(connection, [*fresh, *returned], is_listing=is_listing),
                "markers": marks,
                "source": source,
                "cursor": cursor,
                "at": now().isoformat(),
            }

        event = self._change(decide)
        return len(event["drops"]) if event else 0

    def add_batches(
        self,
        decide: Callable[[Iterable[WaitingDrop], int], Sequence[Batch]],
        *,
        marker: bool = False,
    ) -> list[BatchRecord]:
        """Write down the batches that ``decide`` makes of what waits and of how many are open.

        A batch that waits before its next attempt does not count as open: it holds nobody up.
        With ``marker``, only drops in folders whose marker is not older than them are offered.
        """

        def change(connection: Connection) -> Event | None:
            opened = sum(is_due(record, now()) for record in _open_batches(connection))
            waiting = (
                drop
                for drop in all_waiting(connection)
                if not marker or is_marked(connection, drop.drop)
            )
            batches = decide(waiting, opened)
            if not batches:
                return None
            return {"kind": "cut", "batches": [batch.to_json() for batch in batches]}

        event = self._change(change)
        return [self.batch(Batch.from_json(text).id) for text in event["batches"]] if event else []

    def batch(self, batch_id: str) -> BatchRecord:
        """Raises NotFound."""
        self._catch_up()
        with self._database.read() as connection:
            return _batch(connection, batch_id)

    def open_batches(self) -> list[BatchRecord]:
        """Batches that have not ended, oldest first."""
        self._catch_up()
        with self._database.read() as connection:
            return _open_batches(connection)

    def batches(self) -> dict[BatchState, int]:
        """How many batches are in each state."""
        return {state: n for state, n, *_ in self._counts("batches", BatchState)}

    def start(self, batch_id: str) -> BatchRecord:
        """A waiting batch runs from here on; one that has gone further stays as it is."""

        def decide(connection: Connection) -> Event | None:
            record = _batch(connection, batch_id)
            if record.state is not BatchState.WAITING:
                return None
            return {
                "kind": "batch",
                "batch": batch_id,
                "state": BatchState.RUNNING,
                "attempt": record.attempt,
                "error": record.error,
            }

        self._change(decide)
        return self.batch(batch_id)

    def freeze_results(self, batch_id: str, attempt: int, frozen: FrozenResults) -> FrozenResults:
        """From here on these are the batch's results; whoever commits it commits these.

        Returns what was frozen first, where somebody had been faster. Raises Conflict where the
        attempt was given up meanwhile.
        """

        def decide(connection: Connection) -> Event | None:
            record = _batch(connection, batch_id)
            if record.state is not BatchState.RUNNING or record.attempt != attempt:
                return None
            return {"kind": "frozen", "batch": batch_id, **asdict(frozen)}

        self._change(decide)
        record = self.batch(batch_id)
        if record.state not in (BatchState.COMMITTING, BatchState.DONE):
            raise Conflict(
                f"Attempt {attempt} at batch {batch_id} was given up; it is {record.state}, at "
                f"attempt {record.attempt}."
            )
        return self.frozen_results(batch_id)

    def frozen_results(self, batch_id: str) -> FrozenResults:
        """What ``freeze_results`` wrote down. Raises NotFound where it has not."""
        self._catch_up()
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT job, facts, model, frozen_at FROM batches"
                " WHERE id = ? AND facts IS NOT NULL",
                (batch_id,),
            ).fetchone()
        if row is None:
            raise NotFound("frozen batch", batch_id, remedy="Its job has not ended yet.")
        return FrozenResults(*row)

    def record_failure(
        self,
        batch_id: str,
        attempt: int,
        failure: Failure,
        rules: Rules,
        *,
        committing: bool = False,
    ) -> BatchRecord:
        """An attempt failed: write down what follows from it, as ``after_failure`` decides.

        Nothing happens where that attempt is over, or where its results are being committed. Only
        a caller that knows that they cannot be committed says ``committing``.
        """
        states = {BatchState.WAITING, BatchState.RUNNING}
        if committing:
            states.add(BatchState.COMMITTING)

        def decide(connection: Connection) -> Event | None:
            record = _batch(connection, batch_id)
            if record.attempt != attempt or record.state not in states:
                return None
            return _event_of(record, failure.error, after_failure(record, failure, rules, now()))

        self._change(decide)
        return self.batch(batch_id)

    def close(self, batch_id: str, outcomes: Mapping[str, DropOutcome]) -> BatchRecord:
        """The batch is done; ``outcomes`` by drop id. Closing it again changes nothing."""

        def decide(connection: Connection) -> Event | None:
            if not _batch(connection, batch_id).state.is_open:
                return None
            ended = {drop: asdict(outcome) for drop, outcome in outcomes.items()}
            return {"kind": "closed", "batch": batch_id, "drops": ended}

        self._change(decide)
        return self.batch(batch_id)

    def offer_again(self, drop_id: str) -> DropRecord:
        """Let a quarantined or failed drop wait once more, as a new offer.

        Raises NotFound, and Conflict for a drop in another state.
        """

        def decide(connection: Connection) -> Event | None:
            record = _drop(connection, drop_id)
            if record.state not in (DropState.QUARANTINED, DropState.FAILED):
                raise Conflict(
                    f"Drop {drop_id} ({record.drop.path}) is {record.state}.",
                    remedy="Only a quarantined or failed drop can be replayed.",
                )
            return {"kind": "offered", "drop": drop_id, "at": now().isoformat()}

        self._change(decide)
        return self.drop(drop_id)

    def drop(self, drop_id: str) -> DropRecord:
        """Raises NotFound."""
        self._catch_up()
        with self._database.read() as connection:
            return _drop(connection, drop_id)

    def drops(
        self,
        *,
        state: DropState | None = None,
        batch: str | None = None,
        path: str | None = None,
        limit: int | None = None,
    ) -> list[DropRecord]:
        """Drops in order of arrival; the last ``limit`` of them where given."""
        self._catch_up()
        wanted = {"state": state, "batch": batch, "path": path}
        terms = [f"{column} = ?" for column, value in wanted.items() if value is not None]
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        values = [value for value in wanted.values() if value is not None]
        # The columns are the three named above; every value is bound.
        query = f"SELECT * FROM drops {where} ORDER BY position DESC LIMIT ?"  # noqa: S608
        with self._database.read() as connection:
            rows = connection.execute(query, (*values, -1 if limit is None else limit)).fetchall()
        return [drop_record(row) for row in reversed(rows)]

    def totals(self) -> tuple[dict[DropState, int], int, int, int]:
        """How many drops in each state; and rows in, scored and quarantined of all of them."""
        counts = self._counts("drops", DropState)
        states = {state: n for state, n, *_ in counts}
        rows, scored, quarantined = (sum(row[at] for row in counts) for at in (2, 3, 4))
        return states, rows, scored, quarantined

    def oldest(self) -> datetime | None:
        """Since when the drop waits that has waited longest without an end."""
        self._catch_up()
        with self._database.read() as connection:
            return longest_waiting(connection)

    def _counts(self, table: str, state: Callable[[str], Any]) -> list[tuple[Any, ...]]:
        self._catch_up()
        sums = "0, 0, 0"
        if table == "drops":
            sums = "total(rows), total(scored), total(quarantined)"
        # Both are chosen here, not given.
        query = f"SELECT state, count(*), {sums} FROM {table} GROUP BY state"  # noqa: S608
        with self._database.read() as connection:
            return [(state(row[0]), *map(int, row[1:])) for row in connection.execute(query)]

    def _change(self, decide: Callable[[Connection], Event | None]) -> Event | None:
        """Decide on the newest state and make it so; the event, or None where nothing is to do."""
        while True:
            with self._database.write() as connection:
                if self._journal is not None:
                    self._journal.follow(connection)
                event = decide(connection)
                if event is None:
                    return None
                if self._journal is None or self._journal.append(connection, event):
                    apply(connection, event)
                    return event

    def _catch_up(self) -> None:
        if self._journal is not None:
            with self._database.write() as connection:
                self._journal.follow(connection)


def _event_of(record: BatchRecord, error: str, next_: Retry | Division | GivingUp) -> Event:
    """The event that carries out what follows a failed attempt."""
    event: Event = {"batch": record.batch.id, "error": error}
    match next_:
        case Retry():
            return event | {
                "kind": "batch",
                "state": BatchState.WAITING,
                "attempt": record.attempt + 1,
                "failures": next_.failures,
                "interruptions": next_.interruptions,
                "due": next_.due.isoformat(),
            }
        case Division():
            return event | {
                "kind": "divided",
                "batches": [batch.to_json() for batch, _ in next_.parts],
                "failures": [failures for _, failures in next_.parts],
                "due": next_.due.isoformat(),
            }
        case GivingUp():
            return event | {"kind": "parked"}


def _may_return(known: tuple[DropState, str | None] | None) -> bool:
    """Whether a drop that is there now, and ended so, is offered again."""
    if known is None:
        return False
    state, reason = known
    is_deleted = state is DropState.QUARANTINED and (reason or "").startswith(Reason.DELETED)
    return is_deleted or state is DropState.SUPERSEDED


def _open_batches(connection: Connection) -> list[BatchRecord]:
    rows = connection.execute(
        "SELECT * FROM batches WHERE state IN (?, ?, ?) ORDER BY position", _OPEN
    )
    return [batch_record(row) for row in rows]


def _batch(connection: Connection, batch_id: str) -> BatchRecord:
    row = connection.execute("SELECT * FROM batches WHERE id = ?", (batch_id,)).fetchone()
    if row is None:
        raise NotFound("batch", batch_id, remedy="Batches are listed by `mlops landing status`.")
    return batch_record(row)


def _drop(connection: Connection, drop_id: str) -> DropRecord:
    row = connection.execute("SELECT * FROM drops WHERE id = ?", (drop_id,)).fetchone()
    if row is None:
        raise NotFound("drop", drop_id, remedy="Drops are listed by `mlops landing status`.")
    return drop_record(row)
