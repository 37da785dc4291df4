"""What a materialization of the landing shows: its batches, their drops, and some of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_dagster.defs.tables import markdown_table
from mlops_dagster.landing import BatchOutcome, DropRecord, Landing, drops, status

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_DROPS = 50
_PREVIEW_ROWS = 5
_MOST_COLUMNS = 20


def scores_metadata(landing: Landing, done: Sequence[BatchOutcome]) -> dict[str, Any]:
    """Of ``landing/scores`` after these batches."""
    records = _records(landing, done)
    rows = [
        (each.drop.path, found.rows, found.scored, found.quarantined, found.reason or "")
        for each in records[:_MOST_DROPS]
        if (found := each.outcome) is not None
    ]
    table = markdown_table(("drop", "rows in", "scored", "quarantined", "reason"), rows)
    shown: dict[str, Any] = {
        "dagster/row_count": dg.MetadataValue.int(status(landing).scored),
        "rows scored": dg.MetadataValue.int(sum(each.scored for each in done)),
        "rows quarantined": dg.MetadataValue.int(sum(each.quarantined for each in done)),
        "table": dg.MetadataValue.text(landing.tables.scores),
        **_batches(done),
    }
    if rows:
        shown["drops"] = dg.MetadataValue.md(table)
    if (preview := _preview(landing, landing.tables.scores, records)) is not None:
        shown["preview"] = preview
    return shown


def quarantine_metadata(landing: Landing, done: Sequence[BatchOutcome]) -> dict[str, Any]:
    """Of ``landing/quarantine`` after these batches."""
    records = _records(landing, done)
    reasons = Counter(
        each.outcome.reason for each in records if each.outcome and each.outcome.reason
    )
    shown: dict[str, Any] = {
        "dagster/row_count": dg.MetadataValue.int(status(landing).quarantined),
        "rows quarantined": dg.MetadataValue.int(sum(each.quarantined for each in done)),
        "files quarantined": dg.MetadataValue.int(sum(reasons.values())),
        "table": dg.MetadataValue.text(landing.tables.quarantine),
        **_batches(done),
    }
    if reasons:
        lines = reasons.most_common(_MOST_DROPS)
        shown["reasons"] = dg.MetadataValue.md(markdown_table(("reason", "files"), lines))
    if (preview := _preview(landing, landing.tables.quarantine, records)) is not None:
        shown["preview"] = preview
    return shown


def committed_rows(
    landing: Landing, uri: str, ids: Sequence[str], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of some drops in a table, a part at a time; nothing where there are none."""
    from pyarrow import dataset

    table = landing.tables.open(uri) if ids else None
    if table is not None:
        wanted = dataset.field("drop_id").isin(list(ids))
        rows = table.to_pyarrow_dataset()
        yield from rows.to_batches(columns=columns and list(columns), filter=wanted)


def _batches(done: Sequence[BatchOutcome]) -> dict[str, Any]:
    jobs = [each.job for each in done if each.job]
    shown = {"batch": dg.MetadataValue.text(", ".join(each.batch for each in done) or "none")}
    if jobs:
        shown["job"] = dg.MetadataValue.text(", ".join(jobs))
    return shown


def _records(landing: Landing, done: Sequence[BatchOutcome]) -> list[DropRecord]:
    return [record for each in done for record in drops(landing, batch=each.batch, limit=None)]


def _preview(
    landing: Landing, uri: str, records: Sequence[DropRecord]
) -> dg.MarkdownMetadataValue | None:
    for part in committed_rows(landing, uri, [each.drop.id for each in records]):
        if part.num_rows:
            rows = part.slice(0, _PREVIEW_ROWS).to_pylist()
            columns = part.schema.names[:_MOST_COLUMNS]
            lines = [[row[column] for column in columns] for row in rows]
            return dg.MetadataValue.md(markdown_table(columns, lines))
    return None
