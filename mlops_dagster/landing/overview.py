"""For people: how things stand, and offering a drop once more."""

from __future__ import annotations

from contextlib import suppress

from mlops_dagster.errors import Conflict
from mlops_dagster.landing.landing import Landing
from mlops_dagster.landing.values import DropRecord, DropState, Status


def status(landing: Landing) -> Status:
    """The landing at a glance, from the ledger alone. Raises WorkspaceUnavailable."""
    states, rows, scored, quarantined = landing.ledger.totals()
    return Status(
        drops=states,
        batches=landing.ledger.batches(),
        rows=rows,
        scored=scored,
        quarantined=quarantined,
        oldest=landing.ledger.oldest(),
    )


def drops(
    landing: Landing,
    *,
    state: DropState | None = None,
    batch: str | None = None,
    path: str | None = None,
    limit: int | None = 100,
) -> list[DropRecord]:
    """Drops in order of arrival; the newest ``limit`` of them, None for all."""
    return landing.ledger.drops(state=state, batch=batch, path=path, limit=limit)


def replay(landing: Landing, drop_id: str) -> DropRecord:
    """Offer a quarantined or failed drop again: the next tick puts it into a batch.

    It is scored at most once all the same, and what its last offer left in quarantine is replaced.

    Raises:
        NotFound: there is no such drop.
        Conflict: it is in another state, such as scored.
    """
    return landing.ledger.offer_again(drop_id)


def replay_failed(landing: Landing) -> list[DropRecord]:
    """Offer every drop again that was given up; see ``replay``. Raises WorkspaceUnavailable."""
    offered = []
    for record in landing.ledger.drops(state=DropState.FAILED):
        # Somebody else may be offering it again at the same time.
        with suppress(Conflict):
            offered.append(landing.ledger.offer_again(record.drop.id))
    return offered
