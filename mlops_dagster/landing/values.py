"""What lands, how it is gathered, and what becomes of it: plain values.

A **drop** is a file as it was at one moment: a path and an etag. A **batch** is the drops that are
scored together; it is written down before anything is asked to score it and never changes.
Times are timezone-aware, in UTC. ``Drop.at`` is the clock of the place that holds the file, every
other time is this machine's; the two are never compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Drop:
    """A file that landed.

    Attributes:
        path: below the watched folder or container, with ``/``; as the source names it.
        etag: changes whenever the content does.
        size: bytes.
        at: when its content was last changed, by the source's clock.
    """

    path: str
    etag: str
    size: int
    at: datetime

    @cached_property
    def id(self) -> str:
        """32 hexadecimal digits that stand for path and etag, everywhere and forever."""
        text = f"{self.path}\0{self.etag}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).hexdigest()[:32]


@dataclass(frozen=True)
class WaitingDrop:
    """A settled drop that no batch holds yet.

    Attributes:
        offer: 1, and one more each time it is replayed.
        since: when it was first seen, or offered again.
    """

    drop: Drop
    offer: int
    since: datetime


@dataclass(frozen=True)
class Entry:
    """A drop as a batch holds it; ``offer`` tells a replay from the first time."""

    drop: Drop
    offer: int = 1


@dataclass(frozen=True)
class Batch:
    """A manifest: the drops that are scored together, in the order in which they arrived.

    Attributes:
        divided_from: the id of the batch that failed and of which this one is a part.
    """

    entries: tuple[Entry, ...]
    made_at: datetime
    divided_from: str | None = None

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits; the same drops in the same order are the same batch."""
        text = "\n".join(f"{entry.drop.id}:{entry.offer}" for entry in self.entries)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def drops(self) -> tuple[Drop, ...]:
        return tuple(entry.drop for entry in self.entries)

    @property
    def size(self) -> int:
        """Bytes of all its drops."""
        return sum(entry.drop.size for entry in self.entries)

    def to_json(self) -> str:
        """The manifest as text; ``from_json`` reads it."""
        drops = [
            [
                entry.drop.path,
                entry.drop.etag,
                entry.drop.size,
                entry.drop.at.isoformat(),
                entry.offer,
            ]
            for entry in self.entries
        ]
        body = {"id": self.id, "made_at": self.made_at.isoformat(), "drops": drops}
        if self.divided_from is not None:
            body["divided_from"] = self.divided_from
        return json.dumps(body)

    @classmethod
    def from_json(cls, text: str) -> Batch:
        """Read a manifest. Raises ValueError where its id is not that of its drops."""
        body = json.loads(text)
        entries = tuple(
            Entry(Drop(path, etag, size, datetime.fromisoformat(at)), offer)
            for path, etag, size, at, offer in body["drops"]
        )
        made_at = datetime.fromisoformat(body["made_at"])
        batch = cls(entries, made_at, body.get("divided_from"))
        if batch.id != body["id"]:
            raise ValueError(f"The manifest {body['id']} was changed after it was written.")
        return batch


class Reason(StrEnum):
    """Why a whole file is in quarantine."""

    UNSAFE_NAME = "unsafe_name"
    OUTSIDE = "outside"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    UNKNOWN_TYPE = "unknown_type"
    UNREADABLE = "unreadable"
    DELETED = "deleted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Refusal:
    """A file that is not scored: its reason, and in one line what was found."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


# The reason of a superseded drop.
OVERWRITTEN = "overwritten before it was read"


class DropState(StrEnum):
    """Where a drop stands; all but the first two are final until somebody replays it."""

    WAITING = "waiting"
    BATCHED = "batched"
    SCORED = "scored"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    # A newer etag of its path took its place before it was read; nothing of it is left to score.
    SUPERSEDED = "superseded"


class BatchState(StrEnum):
    """Where a batch stands. WaitingDrop, running and committing batches are open."""

    WAITING = "waiting"
    RUNNING = "running"
    COMMITTING = "committing"
    DONE = "done"
    FAILED = "failed"
    # An attempt failed, and smaller batches with the same drops took its place.
    DIVIDED = "divided"

    @property
    def is_open(self) -> bool:
        return self not in (BatchState.DONE, BatchState.FAILED, BatchState.DIVIDED)


@dataclass(frozen=True)
class BatchRecord:
    """What the ledger knows of a batch.

    Attributes:
        attempt: 1, and one more each time an attempt ended without results.
        error: why the last attempt failed.
        failures: attempts that failed and may be the drops' fault, those of the batch that it is
            a part of included.
        interruptions: attempts in a row that the workspace did not carry out.
        due: when the next attempt may begin; None for at once.
    """

    batch: Batch
    state: BatchState
    attempt: int
    error: str | None = None
    failures: int = 0
    interruptions: int = 0
    due: datetime | None = None

    @property
    def request(self) -> str:
        """Names this attempt; a run that is asked for twice under one name is the same run."""
        return f"{self.batch.id}-{self.attempt}"


@dataclass(frozen=True)
class DropOutcome:
    """How it ended for a drop.

    Attributes:
        rows: in the file; None where it could not be read.
        scored, quarantined: rows in the tables; a file refused as a whole counts all its rows.
    """

    state: DropState
    rows: int | None = None
    scored: int = 0
    quarantined: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class DropRecord:
    """What the ledger knows of a drop."""

    drop: Drop
    state: DropState
    offer: int
    seen_at: datetime
    batch: str | None = None
    outcome: DropOutcome | None = None


@dataclass(frozen=True)
class Tick:
    """What a tick did.

    Attributes:
        new: drops seen for the first time.
        made: batches that this tick wrote down.
        requests: the open batches that should have a run now, oldest first; ask under ``request``.
        waiting: drops that are in no batch yet.
        complete: whether the source was looked through to its end; else the next tick goes on.
        problem: why the source could not be looked through; what was found before still counts.
        delayed: open batches that wait before their next attempt.
    """

    new: int
    made: int
    requests: tuple[BatchRecord, ...]
    waiting: int
    complete: bool
    problem: str | None = None
    delayed: int = 0

    @property
    def skip_reason(self) -> str | None:
        """Why no run is asked for, in one line; None where one is."""
        if self.requests:
            return None
        if self.problem:
            return self.problem
        if self.delayed:
            return f"{self.delayed:,} batches failed and wait to be tried again"
        if self.waiting:
            return f"{self.waiting:,} drops wait to settle, for their marker or for a batch to fill"
        return "nothing new has landed" if self.complete else "still looking; nothing new so far"


@dataclass(frozen=True)
class BatchOutcome:
    """How an attempt at a batch ended.

    Attributes:
        state: DONE; WAITING where it failed and will be tried again; DIVIDED where it failed and
            smaller batches took its place; FAILED where it was given up.
        drops: by drop id; empty unless DONE.
    """

    batch: str
    attempt: int
    state: BatchState
    drops: Mapping[str, DropOutcome] = field(default_factory=dict)
    job: str | None = None
    error: str | None = None

    @property
    def scored(self) -> int:
        """Rows scored."""
        return sum(outcome.scored for outcome in self.drops.values())

    @property
    def quarantined(self) -> int:
        """Rows quarantined."""
        return sum(outcome.quarantined for outcome in self.drops.values())


@dataclass(frozen=True)
class Difference:
    """A drop whose rows are not each in one of the tables once.

    Attributes:
        rows: in the file; None where it could not be read.
        scored, quarantined: rows in the tables.
        problem: what does not add up, such as ``row 3 missing, row 5 twice``.
    """

    drop: Drop
    rows: int | None
    scored: int
    quarantined: int
    problem: str

    def __str__(self) -> str:
        found = f"{self.scored:,} scored + {self.quarantined:,} quarantined"
        return f"{self.drop.path} ({self.drop.id}): {self.rows} rows in, {found}: {self.problem}"


@dataclass(frozen=True)
class Status:
    """The landing at a glance.

    Attributes:
        drops, batches: how many by state.
        rows, scored, quarantined: of the drops that ended, as the ledger wrote them down.
        oldest: since when the longest-waiting open drop waits.
    """

    drops: Mapping[DropState, int]
    batches: Mapping[BatchState, int]
    rows: int
    scored: int
    quarantined: int
    oldest: datetime | None


def now() -> datetime:
    """This machine's time."""
    return datetime.now(UTC)


def drops_to_json(drops: Iterable[Drop]) -> list[list[Any]]:
    """Drops as JSON holds them; ``drops_from_json`` reads them."""
    return [[drop.path, drop.etag, drop.size, drop.at.isoformat()] for drop in drops]


def drops_from_json(rows: Sequence[Sequence[Any]]) -> tuple[Drop, ...]:
    """Drops from ``drops_to_json``."""
    return tuple(
        Drop(path, etag, size, datetime.fromisoformat(at)) for path, etag, size, at in rows
    )
