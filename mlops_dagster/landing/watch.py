"""One look at the source: see, settle, batch, and say what should run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from mlops_dagster.errors import MlopsError, StorageUnavailable
from mlops_dagster.landing.batching import cut_batches
from mlops_dagster.landing.landing import Landing
from mlops_dagster.landing.retries import is_due
from mlops_dagster.landing.staging import staged_batches, unstage
from mlops_dagster.landing.values import (
    Batch,
    BatchRecord,
    BatchState,
    DropState,
    Tick,
    WaitingDrop,
    now,
)


def tick(landing: Landing, *, seconds: float = 20.0) -> Tick:
    """Look for new files for about ``seconds``, and cut what has settled into batches.

    Every page is written down before the source is asked to accept it, and every batch before it is
    returned. What a tick that died had written down, the next one returns. Safe to call from
    several processes at once. A source that cannot be reached is no error: ``Tick.problem``.

    Raises WorkspaceUnavailable where the ledger cannot be used.
    """
    source, ledger = landing.source, landing.ledger
    new, complete, problem = 0, False, None
    try:
        until = time.monotonic() + seconds
        for page in source.scan(ledger.cursor(source.identity), until):
            new += ledger.record_drops(
                page.drops,
                markers=page.markers,
                source=source.identity,
                cursor=page.cursor,
                is_listing=page.is_listing,
            )
            source.accept(page)
            complete = page.complete
    except StorageUnavailable as error:
        problem = _one_line(error)

    def decide(waiting: Iterable[WaitingDrop], opened: int) -> Sequence[Batch]:
        rules = landing.rules
        return cut_batches(waiting, opened, limits=rules.limits, settle=rules.settle, at=now())

    made = ledger.add_batches(decide, marker=landing.selection.marker is not None)
    # Asked for before the open batches, so that none of these can be opened in between.
    staged = staged_batches(landing.staging)
    opened = ledger.open_batches()
    for batch in set(staged) - set(_needed(opened)):
        unstage(batch, landing.staging)
    states, *_ = ledger.totals()
    return Tick(
        new=new,
        made=len(made),
        requests=tuple(_requests(opened, landing.rules.limits.open_batches)),
        waiting=states.get(DropState.WAITING, 0),
        complete=complete,
        problem=problem,
        delayed=sum(not is_due(record, now()) for record in opened),
    )


def _requests(opened: Sequence[BatchRecord], most: int) -> list[BatchRecord]:
    """The batches at work, and the oldest that are due, ``most`` in all."""
    at_work = sum(record.state is not BatchState.WAITING for record in opened)
    due = [record for record in opened if is_due(record, now())]
    waiting = [record for record in due if record.state is BatchState.WAITING]
    later = waiting[max(0, most - at_work) :]
    return [record for record in due if record not in later]


def _needed(opened: Iterable[BatchRecord]) -> Iterator[str]:
    """The batches whose staged files are still read: a part takes those of its whole."""
    for record in opened:
        yield record.batch.id
        if record.batch.divided_from is not None:
            yield record.batch.divided_from


def _one_line(error: MlopsError) -> str:
    return " ".join(str(error).split())
