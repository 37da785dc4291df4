"""What follows a failed attempt at a batch: another attempt, smaller batches, or giving up.

A batch of several drops is never given up. It is divided into smaller batches, and those that fail
are divided again, until a drop that cannot be scored is in a batch by itself; all others are
scored. Attempts wait, longer and longer, so that an outage of minutes gives nothing up.

These are pure functions; ``Ledger.record_failure`` writes down what they decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlops_dagster.landing.rules import Rules
from mlops_dagster.landing.values import Batch, BatchRecord, BatchState, Entry

LONGEST_DELAY = timedelta(minutes=10)
# A failed batch becomes so many smaller ones: 500 drops are single ones after three divisions.
_PARTS = 8
_ALONE = 2
# A drop that takes the workspace down with it each time must be given up in the end.
_MOST_INTERRUPTIONS = 10


@dataclass(frozen=True)
class Failure:
    """Why an attempt brought no results.

    Attributes:
        drops: the ids of the drops that caused it, where that is known.
        is_interruption: the workspace did not carry the job out; this says nothing of the drops.
    """

    error: str
    drops: tuple[str, ...] = ()
    is_interruption: bool = False


@dataclass(frozen=True)
class Retry:
    """The same batch is tried again."""

    failures: int
    interruptions: int
    due: datetime


@dataclass(frozen=True)
class Division:
    """Smaller batches take the batch's place; ``failures`` of each go with it."""

    parts: tuple[tuple[Batch, int], ...]
    due: datetime


@dataclass(frozen=True)
class GivingUp:
    """The batch, which holds one drop, is not tried again."""


def after_failure(
    record: BatchRecord, failure: Failure, rules: Rules, at: datetime
) -> Retry | Division | GivingUp:
    """What follows from ``failure`` of the batch's present attempt."""
    if failure.is_interruption and record.interruptions < _MOST_INTERRUPTIONS:
        interruptions = record.interruptions + 1
        due = at + _delay(rules, interruptions)
        return Retry(record.failures, interruptions, due)
    failures = record.failures + 1
    due = at + _delay(rules, failures)
    if len(record.batch.entries) == 1:
        return GivingUp() if failures >= rules.attempts else Retry(failures, 0, due)
    alone = max(0, min(failures, rules.attempts - _ALONE))
    parts = tuple(
        (Batch(entries, at, record.batch.id), failures if len(entries) > 1 else alone)
        for entries in _divided(record.batch.entries, failure.drops)
    )
    return Division(parts, due)


def is_due(record: BatchRecord, at: datetime) -> bool:
    """Whether the batch is at work or may be tried now."""
    if record.due is None or record.state is not BatchState.WAITING:
        return True
    # A clock that was set back must not make a batch wait until it has caught up.
    return at >= record.due or record.due - at > LONGEST_DELAY


def _delay(rules: Rules, failures: int) -> timedelta:
    """The wait after so many failed attempts."""
    factor: int = 3 ** min(failures - 1, 10)
    return min(rules.retry_delay * factor, LONGEST_DELAY)


def _divided(entries: Sequence[Entry], causes: Sequence[str]) -> list[tuple[Entry, ...]]:
    """The entries in order, in several groups: a known cause alone, the others together."""
    known = [entry for entry in entries if entry.drop.id in causes]
    others = [entry for entry in entries if entry.drop.id not in causes]
    if known and others and len(known) < _PARTS:
        return [tuple(others), *((entry,) for entry in known)]
    length = -(-len(entries) // _PARTS)
    return [tuple(entries[start : start + length]) for start in range(0, len(entries), length)]
