"""Scores and quarantine as Delta tables, each row in them exactly once.

A commit carries, as application transactions, the id of every drop that it is about; what the
table knows already is left out, so committing again changes nothing, whatever cut of the drops it
is that comes again. Two writers that commit the same drop at once name the same application id,
and Delta lets one of them through ("Transaction Identifiers" in Delta's PROTOCOL.md).

The quarantine table goes first, and the version of its transactions is the drop's offer: what an
earlier offer left there is replaced in the same transaction. The scores' transaction is the last
word: a drop that has one is scored. A crash between the two is made good by committing again.

One transaction a drop scales: with 100,000 of them in the log, opening the table and a commit of
1,000 drops take less than 0.1 s each. Asking ``DeltaTable.transaction_version`` for each does not
(up to 10 ms a question), so transactions.py reads them all at once (0.05 s). Measured by
benchmarks/landing_commit.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable
from mlops_dagster.landing.results import Results, WrongOutput
from mlops_dagster.landing.rows import quarantine_rows, quarantine_schema, score_rows, score_schema
from mlops_dagster.landing.staging import Facts
from mlops_dagster.landing.transactions import versions
from mlops_dagster.landing.values import Batch, DropState

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import RecordBatch, Schema

_TRIES = 30
_RETENTION = "delta.setTransactionRetentionDuration"


@dataclass(frozen=True)
class Tables:
    """Where the two tables are: paths or URLs (``abfss://CONTAINER@ACCOUNT.dfs...``).

    Attributes:
        options: of the storage, by the names of the ``object_store`` crate; never printed.
    """

    scores: str
    quarantine: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def open(self, uri: str) -> DeltaTable | None:
        """The table at ``uri``; None where there is none yet.

        Raises WorkspaceUnavailable where it cannot be read, and InvalidRequest where it is set to
        forget application transactions: it could then not tell what it holds.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            table = DeltaTable(uri, storage_options=dict(self.options))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise unavailable(uri, error) from error
        if _RETENTION in table.metadata().configuration:
            raise InvalidRequest(
                f"The table {uri} has {_RETENTION} set; drops could be scored twice.",
                remedy=f"ALTER TABLE ... UNSET TBLPROPERTIES ('{_RETENTION}')",
            )
        return table


def commit(
    tables: Tables,
    batch: Batch,
    facts: Facts,
    results: Results,
    *,
    model: str,
    at: datetime,
) -> None:
    """Commit a batch's results; again and again if need be.

    Args:
        model: goes into every row, such as ``azureml:flight_delays:3``.
        at: goes into every row as the time of scoring.

    Raises:
        WorkspaceUnavailable: a table cannot be written; some of it may be committed, and
            committing again does the rest.
        WrongOutput: the score files do not fit one another or the table, and nothing was committed.
    """
    offers = {entry.drop.id: entry.offer for entry in batch.entries}
    paths = {drop.id: drop.path for drop in batch.drops}
    scored = {
        drop: 1 for drop, outcome in results.outcomes.items() if outcome.state is DropState.SCORED
    }
    quarantined = {
        drop: offers[drop]
        for drop, outcome in results.outcomes.items()
        if outcome.state is not DropState.SUPERSEDED
    }
    # The scores first: they alone may not fit, and nothing of the batch is committed then.
    _write(
        tables,
        tables.scores,
        scored,
        lambda existing: score_schema(results, existing),
        lambda pending, schema: score_rows(pending, paths, results, schema, model, at),
        replaces=False,
    )
    _write(
        tables,
        tables.quarantine,
        quarantined,
        lambda _: quarantine_schema(),
        lambda pending, _: quarantine_rows(pending, paths, facts, results, batch.id, at),
        replaces=True,
    )


def rehearse(tables: Tables, batch: Batch, results: Results) -> None:
    """Make every row that a commit would write to the scores, and throw it away.

    To be called before anything is committed. Raises WrongOutput where a row does not fit.
    """
    import pyarrow as pa

    if not results.scores:
        return
    table = tables.open(tables.scores)
    schema = score_schema(results, pa.schema(table.schema().to_arrow()) if table else None)
    paths = {drop.id: drop.path for drop in batch.drops}
    for _ in score_rows(
        dict.fromkeys(results.scores, 1), paths, results, schema, "", batch.made_at
    ):
        pass


def unavailable(uri: str, error: Exception) -> WorkspaceUnavailable:
    """A table's own error as ours; its message may hold no more than the first line."""
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return WorkspaceUnavailable(
        f"The table {uri} cannot be used: {first}",
        remedy="Check the free space, the permissions and that it is reachable; then run it again.",
    )


def _write(
    tables: Tables,
    uri: str,
    wanted: Mapping[str, int],
    schema_of: Callable[[Schema | None], Schema],
    rows_of: Callable[[Mapping[str, int], Schema], Iterator[RecordBatch]],
    *,
    replaces: bool,
) -> None:
    """Append the rows of every drop whose transaction is not there yet, in one transaction.

    With ``replaces``, rows of a drop that were committed under a lower version go at once.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError

    for attempt in range(_TRIES):
        try:
            if not wanted or _write_once(tables, uri, wanted, schema_of, rows_of, replaces):
                return
        except CommitFailedError as error:
            # Somebody else committed first: look again at what is left to do.
            if attempt == _TRIES - 1:
                raise unavailable(uri, error) from error
            time.sleep(random.uniform(0.01, 0.05) * min(attempt + 1, 10))
        except (DeltaError, OSError) as error:
            raise unavailable(uri, error) from error


def _write_once(
    tables: Tables,
    uri: str,
    wanted: Mapping[str, int],
    schema_of: Callable[[Schema | None], Schema],
    rows_of: Callable[[Mapping[str, int], Schema], Iterator[RecordBatch]],
    replaces: bool,
) -> bool:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    table = tables.open(uri)
    if table is None:
        options = dict(tables.options)
        DeltaTable.create(uri, schema_of(None), mode="ignore", storage_options=options)
        table = tables.open(uri)
        if table is None:
            return False
    known = versions(table, wanted)
    pending = {drop: version for drop, version in wanted.items() if known.get(drop, 0) < version}
    if not pending:
        return True
    schema = schema_of(pa.schema(table.schema().to_arrow()))

    how: dict[str, Any] = {"mode": "append", "schema_mode": "merge"}
    if replaces and any(drop in known for drop in pending):
        # Ids are hexadecimal: nothing in them could end the quotes.
        ids = ", ".join(f"'{drop}'" for drop in pending)
        how = {"mode": "overwrite", "predicate": f"drop_id IN ({ids})"}
    rows = _Rows(rows_of(pending, schema))
    try:
        # The table as it was read above is what the commit is checked against.
        write_deltalake(
            table,
            pa.RecordBatchReader.from_batches(schema, rows),
            commit_properties=CommitProperties(
                app_transactions=[Transaction(drop, version) for drop, version in pending.items()]
            ),
            **how,
        )
    except Exception:
        if rows.wrong is not None:
            raise rows.wrong from None
        raise
    return True


class _Rows:
    """Rows, and the error that ended them: Delta's writer tells of any error as one of its own."""

    def __init__(self, rows: Iterator[RecordBatch]) -> None:
        self._rows = rows
        self.wrong: WrongOutput | None = None

    def __iter__(self) -> Iterator[RecordBatch]:
        try:
            yield from self._rows
        except WrongOutput as error:
            self.wrong = error
            raise
