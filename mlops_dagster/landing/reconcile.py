"""Whether every row that came in is in one of the two tables, once: asked of the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mlops_dagster.landing.commit import Tables
from mlops_dagster.landing.place import Landing
from mlops_dagster.landing.values import Difference, DropRecord, DropState

_ENDED_IN_TABLES = (DropState.SCORED, DropState.QUARANTINED)


def differences(landing: Landing, *, batch: str | None = None) -> list[Difference]:
    """The drops whose rows in are not the rows scored plus the rows quarantined.

    Drops of open batches are left out: their rows are on the way. A file that was refused as a
    whole counts all its rows as quarantined, however many they are. Reads the ids in both tables.

    Args:
        batch: only the drops of this batch.

    Raises:
        NotFound: there is no such batch.
        WorkspaceUnavailable: a table or the ledger cannot be read.
    """
    if batch is not None:
        landing.ledger.batch(batch)
    records = landing.ledger.drops(batch=batch)
    ids = [record.drop.id for record in records] if batch is not None else None
    scored = _count(landing.tables, landing.tables.scores, ids)
    quarantined = _count(landing.tables, landing.tables.quarantine, ids, only_rows=True)
    whole = _count(landing.tables, landing.tables.quarantine, ids, only_whole=True)
    found = (
        _difference(
            record, scored[record.drop.id], quarantined[record.drop.id], whole[record.drop.id]
        )
        for record in records
        if record.state is not DropState.BATCHED
    )
    return [difference for difference in found if difference is not None]


def _difference(record: DropRecord, scored: int, quarantined: int, whole: int) -> Difference | None:
    outcome = record.outcome
    rows = outcome.rows if outcome is not None else None
    if record.state in _ENDED_IN_TABLES:
        if whole:
            is_whole = whole == 1 and not scored and not quarantined
            return None if is_whole else Difference(record.drop, rows, scored, quarantined + whole)
        if rows is not None and rows == scored + quarantined:
            return None
    elif record.offer > 1 and not scored:
        # Until a replayed drop has ended anew, what its last offer left in quarantine stands.
        return None
    elif not scored and not quarantined and not whole:
        return None
    return Difference(record.drop, rows, scored, quarantined + whole)


def _count(
    tables: Tables,
    uri: str,
    ids: Iterable[str] | None,
    *,
    only_rows: bool = False,
    only_whole: bool = False,
) -> Counter[str]:
    """Rows by drop id, read a piece at a time; memory holds a number a drop."""
    from pyarrow import dataset

    table = tables.open(uri)
    counts: Counter[str] = Counter()
    if table is None:
        return counts
    terms = []
    if ids is not None:
        terms.append(dataset.field("drop_id").isin(list(ids)))
    if only_rows:
        terms.append(dataset.field("row").is_valid())
    if only_whole:
        terms.append(dataset.field("row").is_null())
    wanted = None
    for term in terms:
        wanted = term if wanted is None else wanted & term
    for part in table.to_pyarrow_dataset().to_batches(columns=["drop_id"], filter=wanted):
        for pair in part.column("drop_id").value_counts():
            counts[pair["values"].as_py()] += pair["counts"].as_py()
    return counts
