"""What a materialization of the landing shows: its batches, their drops, and some of the rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_dagster.defs.landing.quarantine import quarantined_drops
from mlops_dagster.defs.tables import markdown_table
from mlops_dagster.landing import BatchOutcome, DropRecord, Landing, drops, status
from mlops_dagster.landing.tables import table_rows

if TYPE_CHECKING:
    pass

_MOST_DROPS = 50
_PREVIEW_ROWS = 5
_MOST_COLUMNS = 20


def scores_metadata(landing: Landing, done: Sequence[BatchOutcome]) -> dict[str, Any]:
    """Of ``landing/scores`` after these batches."""
    records = _records(landing, done)
    rows = [
        (each.drop.path, outcome.rows, outcome.scored, outcome.quarantined, outcome.reason or "")
        for each in records[:_MOST_DROPS]
        if (outcome := each.outcome) is not None
    ]
    table = markdown_table(("drop", "rows in", "scored", "quarantined", "reason"), rows)
    metadata: dict[str, Any] = {}
    if rows:
        metadata["drops"] = dg.MetadataValue.md(table)
    if (preview := _preview(landing, landing.tables.scores, records)) is not None:
        metadata["preview"] = preview
    return {
        **metadata,
        "rows scored": dg.MetadataValue.int(sum(each.scored for each in done)),
        "rows quarantined": dg.MetadataValue.int(sum(each.quarantined for each in done)),
        "dagster/row_count": dg.MetadataValue.int(status(landing).scored),
        "table": dg.MetadataValue.text(landing.tables.scores),
        **column_schema(landing, landing.tables.scores),
        **_batches(done),
    }


def quarantine_metadata(landing: Landing, done: Sequence[BatchOutcome]) -> dict[str, Any]:
    """Of ``landing/quarantine`` as a whole after these batches: what lies there now."""
    records = quarantined_drops(landing)[::-1]
    rows = [
        (each.drop.path, outcome.rows if outcome.rows is not None else "?", outcome.quarantined,
         outcome.reason or "rows that could not be used")
        for each in records[:_MOST_DROPS]
        if (outcome := each.outcome) is not None
    ]  # fmt: skip
    metadata: dict[str, Any] = {}
    if rows:
        table = markdown_table(("file", "rows in", "rows quarantined", "reason"), rows)
        metadata["in quarantine"] = dg.MetadataValue.md(table)
    if (preview := _preview(landing, landing.tables.quarantine, records[:_MOST_DROPS])) is not None:
        metadata["preview"] = preview
    return {
        **metadata,
        "files in quarantine": dg.MetadataValue.int(len(records)),
        "rows in quarantine": dg.MetadataValue.int(status(landing).quarantined),
        "table": dg.MetadataValue.text(landing.tables.quarantine),
        **column_schema(landing, landing.tables.quarantine),
        **_batches(done),
    }


def column_schema(landing: Landing, uri: str) -> dict[str, Any]:
    """The columns of a table as they are now, as the UI shows them; nothing before its first row."""
    table = landing.tables.open(uri)
    if table is None:
        return {}
    fields = json.loads(table.schema().to_json())["fields"]
    columns = [
        dg.TableColumn(
            field["name"],
            field["type"] if isinstance(field["type"], str) else field["type"]["type"],
            constraints=dg.TableColumnConstraints(nullable=field["nullable"]),
        )
        for field in fields
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def _batches(done: Sequence[BatchOutcome]) -> dict[str, Any]:
    jobs = [each.job for each in done if each.job]
    metadata = {"batch": dg.MetadataValue.text(", ".join(each.batch for each in done) or "none")}
    if jobs:
        metadata["job"] = dg.MetadataValue.text(", ".join(jobs))
    return metadata


def _records(landing: Landing, done: Sequence[BatchOutcome]) -> list[DropRecord]:
    return [record for each in done for record in drops(landing, batch=each.batch, limit=None)]


def _preview(
    landing: Landing, uri: str, records: Sequence[DropRecord]
) -> dg.MarkdownMetadataValue | None:
    ids = [each.drop.id for each in records]
    table = landing.tables.open(uri) if ids else None
    for part in table_rows(table, drops=ids) if table is not None else ():
        if part.num_rows:
            rows = part.slice(0, _PREVIEW_ROWS).to_pylist()
            columns = part.schema.names[:_MOST_COLUMNS]
            lines = [[row[column] for column in columns] for row in rows]
            return dg.MetadataValue.md(markdown_table(columns, lines))
    return None
