"""Which drops go into which batch: a pure function of what waits and of the time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mlops_dagster.landing.rules import Limits
from mlops_dagster.landing.values import Batch, Entry, WaitingDrop


def cut_batches(
    waiting: Iterable[WaitingDrop],
    opened: int,
    *,
    limits: Limits,
    settle: timedelta,
    at: datetime,
) -> list[Batch]:
    """Cut what has settled into batches, in order of arrival.

    A batch is closed when it is full or when its oldest drop is ``limits.age`` old; a drop that
    would make it too large begins the next. No more than ``limits.open_batches`` are open in the
    end, ``opened`` of which are already. Reads no more of ``waiting`` than it needs.
    """
    batches: list[Batch] = []
    current: list[WaitingDrop] = []
    size = 0
    room = limits.open_batches - opened
    if room <= 0:
        return []

    for candidate in waiting:
        if not _is_past(candidate.since, settle, at):
            continue
        if current and size + candidate.drop.size > limits.size:
            batches.append(_batch(current, at))
            current, size = [], 0
            if len(batches) == room:
                return batches
        current.append(candidate)
        size += candidate.drop.size
        if len(current) == limits.drops or size >= limits.size:
            batches.append(_batch(current, at))
            current, size = [], 0
            if len(batches) == room:
                return batches
    if current and any(_is_past(candidate.since, limits.age, at) for candidate in current):
        batches.append(_batch(current, at))
    return batches


def _is_past(since: datetime, span: timedelta, at: datetime) -> bool:
    # A clock that was set back must not make a drop wait until it has caught up.
    return abs(at - since) >= span


def _batch(members: list[WaitingDrop], at: datetime) -> Batch:
    return Batch(tuple(Entry(member.drop, member.offer) for member in members), at)
