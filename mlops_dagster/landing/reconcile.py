"""Whether every row that came in is in one of the two tables, once: asked of the tables.

A row is its drop and its number in the file, in both tables; so a row that is missing is not made
up for by one that is there twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mlops_dagster.landing.committed import committed_at
from mlops_dagster.landing.landing import Landing
from mlops_dagster.landing.results import ROW
from mlops_dagster.landing.row_numbers import RowTally, tally_rows
from mlops_dagster.landing.tables import Tables, table_rows
from mlops_dagster.landing.values import Difference, DropRecord, DropState

_ENDED_IN_TABLES = (DropState.SCORED, DropState.QUARANTINED)
# One reading of the tables takes a byte a row and about a kilobyte a drop.
_MOST_ROWS, _MOST_DROPS = 1 << 27, 100_000


def differences(landing: Landing, *, batch: str | None = None) -> list[Difference]:
    """The drops whose rows are not each in one of the tables once.

    Drops of open batches are left out: their rows are on the way. A file that was refused as a
    whole is there once, without a row's number.

    Args:
        batch: only the drops of this batch. Its rows are looked for in the files that hold rows of
            its commit, so that the cost does not grow with the table; only for a drop that does
            not add up there, all files are read.

    Raises:
        NotFound: there is no such batch.
        WorkspaceUnavailable: a table or the ledger cannot be read.
    """
    if batch is None:
        groups = _groups(landing.ledger.drops())
        return [each for group in groups for each in _differences(landing.tables, group)]
    landing.ledger.batch(batch)
    records = landing.ledger.drops(batch=batch)
    suspects = _differences(landing.tables, records, committed_at(landing, batch))
    # The rows of a drop that another batch had committed lie elsewhere.
    ids = {suspect.drop.id for suspect in suspects}
    again = [record for record in records if record.drop.id in ids]
    return _differences(landing.tables, again) if again else []


def _groups(records: Iterable[DropRecord]) -> Iterator[list[DropRecord]]:
    """As many drops at a time as memory should hold."""
    group: list[DropRecord] = []
    rows = 0
    for record in records:
        coming = _rows_in(record)
        if group and (rows + coming > _MOST_ROWS or len(group) == _MOST_DROPS):
            yield group
            group, rows = [], 0
        group.append(record)
        rows += coming
    if group:
        yield group


def _differences(
    tables: Tables, records: Sequence[DropRecord], at: datetime | None = None
) -> list[Difference]:
    """The drops that do not add up, by the rows that were committed at a time; None for all."""
    records = [record for record in records if record.state is not DropState.BATCHED]
    tallies = {record.drop.id: RowTally(_rows_in(record)) for record in records}
    _read(tables, tables.scores, "scored_at", tallies, at)
    scored = {drop: (tally.count, tally.unnumbered) for drop, tally in tallies.items()}
    _read(tables, tables.quarantine, "quarantined_at", tallies, at)
    found = []
    for record in records:
        (count, unnumbered), tally = scored[record.drop.id], tallies[record.drop.id]
        problem = _problem(record, count, tally.unnumbered - unnumbered, tally)
        if problem is not None:
            rows = record.outcome.rows if record.outcome is not None else None
            found.append(Difference(record.drop, rows, count, tally.count - count, problem))
    return found


def _problem(record: DropRecord, scored: int, whole: int, tally: RowTally) -> str | None:
    """Why a drop does not add up; None where it does.

    Args:
        scored: its rows among the scores.
        whole: how often it is in quarantine as a whole.
        tally: of its rows in both tables.
    """
    if record.state in _ENDED_IN_TABLES:
        if whole:
            is_alone = tally.count == 1
            return None if is_alone else "it is in quarantine as a whole, and not once and alone"
        return tally.problem
    # Until a replayed drop has ended anew, what its last offer left in quarantine stands.
    if not tally.count or (record.offer > 1 and not scored):
        return None
    return f"it is {record.state}, and rows of it are in the tables"


def _read(
    tables: Tables,
    uri: str,
    time_column: str,
    tallies: dict[str, RowTally],
    at: datetime | None,
) -> None:
    table = tables.open(uri) if tallies else None
    if table is None:
        return
    written = (time_column, at) if at is not None else None
    for part in table_rows(table, ["drop_id", ROW], drops=tallies, written=written):
        tally_rows(tallies, part.column("drop_id"), part.column(ROW))


def _rows_in(record: DropRecord) -> int:
    return (record.outcome.rows if record.outcome is not None else None) or 0
