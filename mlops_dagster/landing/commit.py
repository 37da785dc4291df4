"""Scores and quarantine as Delta tables, each row in them exactly once.

A commit carries, as application transactions, the id of every drop that it is about; what the
table knows already is left out, so committing again changes nothing, whatever cut of the drops it
is that comes again. Two writers that commit the same drop at once name the same application id,
and Delta lets one of them through ("Transaction Identifiers" in Delta's PROTOCOL.md).

The scores go first: where they do not fit, nothing of the batch is committed. The version of a
drop's transaction there is always 1: a drop is scored once. In the quarantine it is the drop's
offer: what an earlier offer left there is replaced in the same transaction. A crash between the
two is made good by committing again. A drop's rejected rows are only written beside the scored
rows that they complete; should an earlier attempt have scored others, the commit is refused.

One transaction a drop scales, and so does asking for all of a batch's at once (transactions.py):
benchmarks/bench_landing_commit.py prints what both cost while a table grows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import MlopsError
from mlops_dagster.landing.column_types import cast
from mlops_dagster.landing.results import ROW, Results, WrongOutput
from mlops_dagster.landing.row_numbers import tally_rows
from mlops_dagster.landing.rows import quarantine_rows, quarantine_schema, score_rows, score_schema
from mlops_dagster.landing.rules import SchemaEvolution
from mlops_dagster.landing.staging import Facts
from mlops_dagster.landing.tables import (
    Tables,
    first_line,
    table_rows,
    table_schema,
    table_unavailable,
)
from mlops_dagster.landing.transactions import transaction_versions
from mlops_dagster.landing.values import Batch, DropState

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import RecordBatch, Schema

_TRIES = 30
# Commits; whoever opens the table reads those after the last checkpoint one by one.
_CHECKPOINT_INTERVAL = "20"
_VIOLATED = "Invalid data found"  # what Delta's library says of a constraint of the table
_SAMPLE = 100  # rows that a rehearsal has Delta's writer write, into memory


def commit(
    tables: Tables,
    batch: Batch,
    facts: Facts,
    results: Results,
    *,
    evolution: SchemaEvolution,
    model: str,
    at: datetime,
) -> None:
    """Commit a batch's results; again and again if need be.

    Args:
        evolution: what the batch may change in the columns of the scores.
        model: goes into every row, such as ``azureml:flight_delays:3``.
        at: goes into every row as the time of scoring.

    Raises:
        WorkspaceUnavailable: a table cannot be written; some of it may be committed, and
            committing again does the rest.
        WrongOutput: the scores do not fit the table, and nothing of these results is committed; or
            an earlier attempt has scored other rows of a drop, and its rejected rows are not.
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
    written = _write(
        tables,
        tables.scores,
        scored,
        lambda existing: score_schema(results, existing, evolution),
        lambda pending, schema: score_rows(pending, paths, results, schema, model, at),
        replaces=False,
    )
    others = {drop: offer for drop, offer in quarantined.items() if drop not in written}
    _refuse_other_rows(tables, others, paths, results)
    _write(
        tables,
        tables.quarantine,
        quarantined,
        lambda _: quarantine_schema(),
        lambda pending, _: quarantine_rows(pending, paths, facts, results, batch.id, at),
        replaces=True,
    )


def rehearse(
    tables: Tables, batch: Batch, facts: Facts, results: Results, *, evolution: SchemaEvolution
) -> None:
    """Make every row that a commit would write, have Delta write some of them, and forget them.

    To be called before anything is committed. Raises WrongOutput where a row does not fit or
    Delta's writer refuses it, and WorkspaceUnavailable where the table cannot be read.
    """
    table = tables.open(tables.scores) if results.scores else None
    existing = table_schema(table) if table is not None else None
    schema = score_schema(results, existing, evolution)
    paths = {drop.id: drop.path for drop in batch.drops}
    at = batch.made_at
    scored = dict.fromkeys(results.scores, 1)
    _write_sample(schema, score_rows(scored, paths, results, schema, "", at))
    quarantined = {
        drop: 1
        for drop, outcome in results.outcomes.items()
        if outcome.state is not DropState.SUPERSEDED
    }
    bad = quarantine_rows(quarantined, paths, facts, results, batch.id, at)
    _write_sample(quarantine_schema(), bad)


def _write_sample(schema: Schema, rows: Iterator[RecordBatch]) -> None:
    """Make all rows, and write the first ones of each kind of part to a table in memory."""
    import pyarrow as pa
    from deltalake import write_deltalake

    sample: list[RecordBatch] = []
    for part in rows:
        if sum(each.num_rows for each in sample) < _SAMPLE:
            sample.append(part.slice(0, _SAMPLE))
    with _writer_errors("memory", in_memory=True):
        write_deltalake("memory:///sample", pa.RecordBatchReader.from_batches(schema, sample))


def _write(
    tables: Tables,
    uri: str,
    wanted: Mapping[str, int],
    schema_of: Callable[[Schema | None], Schema],
    rows_of: Callable[[Mapping[str, int], Schema], Iterator[RecordBatch]],
    *,
    replaces: bool,
) -> Collection[str]:
    """Append the rows of every drop whose transaction is not there yet, in one transaction.

    With ``replaces``, rows of a drop that were committed under a lower version go at once.
    Returns the drops whose rows this call wrote.
    """
    from deltalake.exceptions import CommitFailedError

    for attempt in range(_TRIES if wanted else 0):
        try:
            with _writer_errors(uri):
                written = _write_once(tables, uri, wanted, schema_of, rows_of, replaces)
            if written is not None:
                return written
        except CommitFailedError as error:
            # Somebody else committed first: look again at what is left to do.
            if attempt == _TRIES - 1:
                raise table_unavailable(uri, error) from error
            time.sleep(random.uniform(0.01, 0.05) * min(attempt + 1, 10))
    return ()


def _write_once(
    tables: Tables,
    uri: str,
    wanted: Mapping[str, int],
    schema_of: Callable[[Schema | None], Schema],
    rows_of: Callable[[Mapping[str, int], Schema], Iterator[RecordBatch]],
    replaces: bool,
) -> Collection[str] | None:
    """The drops that were written; None where the table had to be made ready first."""
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    table = tables.open(uri)
    if table is None:
        DeltaTable.create(
            uri,
            schema_of(None),
            mode="ignore",
            storage_options=dict(tables.options),
            configuration={"delta.checkpointInterval": _CHECKPOINT_INTERVAL},
        )
        return None
    known = transaction_versions(table, wanted)
    pending = {drop: version for drop, version in wanted.items() if known.get(drop, 0) < version}
    if not pending:
        return ()
    existing = table_schema(table)
    schema = schema_of(existing)
    if any(schema.field(column.name).type != column.type for column in existing):
        _widen(table, existing, schema)
        return None

    how: dict[str, Any] = {"mode": "append", "schema_mode": "merge"}
    if replaces and any(drop in known for drop in pending):
        # Ids are hexadecimal: nothing in them could end the quotes.
        ids = ", ".join(f"'{drop}'" for drop in pending)
        how = {"mode": "overwrite", "predicate": f"drop_id IN ({ids})"}
    rows = _RowStream(rows_of(pending, schema))
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
    except BaseException:
        if rows.wrong is not None:
            raise rows.wrong from None
        raise
    return pending.keys()


def _widen(table: DeltaTable, existing: Schema, schema: Schema) -> None:
    """Write the table anew with wider types: Delta's own way would need a table feature.

    Raises WrongOutput where a value of the table has no equal in the wider type, and
    CommitFailedError where anybody has committed meanwhile.
    """
    import pyarrow as pa
    from deltalake import CommitProperties, write_deltalake

    wider = pa.schema([schema.field(name) for name in existing.names])

    def rows() -> Iterator[RecordBatch]:
        for part in table_rows(table):
            try:
                columns = [cast(part.column(each.name), each.type) for each in wider]
            except pa.ArrowException as error:
                raise WrongOutput(
                    f"The scores would need wider columns, and cannot have them: {error}",
                    remedy="Write the types that the table has.",
                ) from error
            yield pa.RecordBatch.from_arrays(columns, schema=wider)

    made = _RowStream(rows())
    try:
        write_deltalake(
            table,
            pa.RecordBatchReader.from_batches(wider, made),
            mode="overwrite",
            schema_mode="overwrite",
            # Rows that are committed meanwhile would keep the narrower type.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except BaseException:
        if made.wrong is not None:
            raise made.wrong from None
        raise


def _refuse_other_rows(
    tables: Tables, offers: Mapping[str, int], paths: Mapping[str, str], results: Results
) -> None:
    """Raise WrongOutput where the scores have rows of a drop that are rejected now, or lack others.

    Args:
        offers: of the drops to look at; those whose rejected rows are written are passed over.
    """
    table = tables.open(tables.quarantine) if offers else None
    known = transaction_versions(table, offers) if table is not None else {}
    pending = [drop for drop, offer in offers.items() if known.get(drop, 0) < offer]
    scores = tables.open(tables.scores) if pending else None
    earlier = transaction_versions(scores, pending) if scores is not None else {}
    if scores is None or not earlier:
        return
    tallies = {drop: results.rejected_tally(drop) for drop in earlier}
    for part in table_rows(scores, ["drop_id", ROW], drops=earlier):
        tally_rows(tallies, part.column("drop_id"), part.column(ROW))
    for drop, tally in tallies.items():
        if tally.problem is not None:
            raise WrongOutput(
                f"Drop {paths[drop]} was scored by an earlier attempt, and its rows there and those "
                f"rejected now are not each of its rows once: {tally.problem}.",
                remedy="Let the pipeline reject the rows that it rejected then; then replay it.",
                drop=drop,
            )


@contextmanager
def _writer_errors(uri: str, *, in_memory: bool = False) -> Iterator[None]:
    """Errors of Delta's writer as ours: WorkspaceUnavailable for what storage may have caused.

    Everything else would come again, and is the rows' fault. A panic of the library is among it:
    it is no ``Exception``, and its class cannot be imported.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError

    try:
        yield
    except (MlopsError, CommitFailedError):
        raise
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"
        if not isinstance(error, Exception) and not is_panic:
            raise
        is_storage = isinstance(error, (DeltaError, OSError)) and not in_memory
        if (
            is_storage
            and not isinstance(error, SchemaMismatchError)
            and _VIOLATED not in str(error)
        ):
            raise table_unavailable(uri, error) from error
        raise WrongOutput(
            f"Delta cannot write the rows: {first_line(error)}",
            remedy="Write what the table's columns and constraints allow.",
        ) from error


class _RowStream:
    """Rows, and the error that ended them: Delta's writer reports any error as one of its own."""

    def __init__(self, rows: Iterator[RecordBatch]) -> None:
        self._rows = rows
        self.wrong: MlopsError | None = None

    def __iter__(self) -> Iterator[RecordBatch]:
        try:
            yield from self._rows
        except MlopsError as error:
            self.wrong = error
            raise
