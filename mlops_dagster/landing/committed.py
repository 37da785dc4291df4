"""Rows that a batch committed, read from the files that its commit may have written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_dagster.errors import NotFound
from mlops_dagster.landing.landing import Landing
from mlops_dagster.landing.tables import table_rows

if TYPE_CHECKING:
    from pyarrow import RecordBatch


def committed_at(landing: Landing, batch: str) -> datetime | None:
    """The time that the rows of a batch bear; None where no commit of it has begun."""
    try:
        return datetime.fromisoformat(landing.ledger.frozen_results(batch).at)
    except NotFound:
        return None


def committed_scores(
    landing: Landing, batch: str, drops: Collection[str], columns: Sequence[str]
) -> Iterator[RecordBatch]:
    """The scores that a batch committed of these drops, a part at a time."""
    at = committed_at(landing, batch)
    table = landing.tables.open(landing.tables.scores) if at is not None else None
    if table is not None and at is not None:
        yield from table_rows(table, columns, drops=drops, written=("scored_at", at))
