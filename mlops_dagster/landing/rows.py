"""The rows of the two tables, in types that every reader of Delta knows.

No table feature is needed to read them: times are in UTC to the microsecond (a time without a
zone would ask for ``timestampNtz``), integers are signed, and names are free of the characters
that Spark refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops_dagster.landing.results import Results, WrongOutput
from mlops_dagster.landing.staging import Facts
from mlops_dagster.landing.values import DropOutcome

if TYPE_CHECKING:
    from pyarrow import DataType, Field, RecordBatch, Schema

_REFUSED = re.compile(r"[ ,;{}()\n\t=]")
_OURS = ("drop_id", "drop_path", "model", "scored_at")
_CHUNK = 1 << 16


def score_schema(results: Results, existing: Schema | None) -> Schema:
    """The columns of the score files, of the table as it is, and ours.

    Raises WrongOutput where a column has types that cannot be one.
    """
    import pyarrow as pa
    from pyarrow import parquet

    ours = pa.schema(
        [
            ("drop_id", pa.string()),
            ("drop_path", pa.string()),
            ("model", pa.string()),
            ("scored_at", _time()),
        ]
    )
    found = [
        _plain(parquet.read_schema(path)) for files in results.scores.values() for path in files
    ]
    seen = {}
    for schema in found:
        seen[schema.to_string()] = schema
    try:
        merged = pa.unify_schemas([*seen.values(), ours], promote_options="permissive")
        if existing is not None:
            # The table's own type is kept: rows are cast to it, or refused.
            kept = [field for field in merged if field.name not in existing.names]
            merged = pa.schema([*existing, *kept])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise WrongOutput(
            f"The score files do not fit one another: {error}",
            remedy="Write the same columns with the same types for every input file.",
        ) from error
    names = [name.lower() for name in merged.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WrongOutput(
            f"The score files have columns that differ in case alone: {', '.join(twice)}.",
            remedy="Rename one of them; Spark does not tell them apart.",
        )
    return merged


def score_rows(
    pending: Mapping[str, int],
    paths: Mapping[str, str],
    results: Results,
    schema: Schema,
    model: str,
    at: datetime,
) -> Iterator[RecordBatch]:
    """The rows of the pending drops, a chunk at a time."""
    from pyarrow import parquet

    for drop in pending:
        ours = {"drop_id": drop, "drop_path": paths[drop], "model": model, "scored_at": at}
        for path in results.scores.get(drop, ()):
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(_CHUNK):
                    yield _fitted(batch, schema, ours, path.name)


def quarantine_schema() -> Schema:
    """``row`` counts from 0 and is null for a whole file; ``content`` is the row as JSON."""
    import pyarrow as pa

    return pa.schema(
        [
            ("drop_id", pa.string()),
            ("drop_path", pa.string()),
            ("row", pa.int64()),
            ("reason", pa.string()),
            ("content", pa.string()),
            ("batch", pa.string()),
            ("quarantined_at", _time()),
        ]
    )


def quarantine_rows(
    pending: Mapping[str, int],
    paths: Mapping[str, str],
    facts: Facts,
    results: Results,
    batch: str,
    at: datetime,
) -> Iterator[RecordBatch]:
    """A row for each bad row of the pending drops, and one for each file that is bad as a whole."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = quarantine_schema()
    for drop in pending:
        common = {"drop_id": drop, "drop_path": paths[drop], "batch": batch, "quarantined_at": at}
        outcome = results.outcomes[drop]
        if _is_whole(drop, facts, results, outcome):
            whole = {**common, "row": None, "reason": outcome.reason, "content": None}
            yield pa.RecordBatch.from_pylist([whole], schema=schema)
            continue
        rejects = results.rejects.get(drop)
        for path in rejects.files if rejects is not None else ():
            with parquet.ParquetFile(path) as file:
                for part in file.iter_batches(_CHUNK):
                    rows = [common | _rejected(row) for row in part.to_pylist()]
                    yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _is_whole(drop: str, facts: Facts, results: Results, outcome: DropOutcome) -> bool:
    rejects = results.rejects.get(drop)
    refused = facts.by_drop[drop].refusal is not None
    return refused or (rejects is not None and rejects.whole is not None and not outcome.scored)


def _rejected(row: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in row.items() if name not in ("row", "reason", "source")}
    reason = None if row["reason"] is None else str(row["reason"])
    return {
        "row": row["row"],
        "reason": reason,
        "content": json.dumps(rest, default=str, ensure_ascii=False),
    }


def _fitted(batch: RecordBatch, schema: Schema, ours: Mapping[str, Any], file: str) -> RecordBatch:
    """A batch with the table's columns in the table's types."""
    import pyarrow as pa

    given = {
        _name(name): column for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    columns = []
    for field in schema:
        try:
            if field.name in _OURS:
                columns.append(pa.repeat(pa.scalar(ours[field.name], field.type), len(batch)))
            elif field.name in given:
                columns.append(_cast(given[field.name], field.type))
            else:
                columns.append(pa.nulls(len(batch), field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise WrongOutput(
                f"The column {field.name} of {file} does not fit the table: {error}",
                remedy=f"The table has it as {field.type}; write that.",
                drop=ours["drop_id"],
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: Any, to: DataType) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and pa.types.is_timestamp(to):
        # What is finer than a microsecond is cut off, as Delta has no finer time.
        return column.cast(to, safe=False)
    return column.cast(to)


def _plain(schema: Schema) -> Schema:
    """A file's schema in the types and names that the table takes, without ours."""
    import pyarrow as pa

    fields = (field.with_name(_name(field.name)) for field in schema)
    return pa.schema([_plain_field(field) for field in fields if field.name not in _OURS])


def _plain_field(field: Field) -> Field:
    return field.with_type(_plain_type(field.type)).with_nullable(True).remove_metadata()


def _plain_type(given: DataType) -> DataType:  # noqa: PLR0911 - a table of types
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(given):
        return _plain_type(given.value_type)
    if types.is_timestamp(given):
        return _time()
    if types.is_date(given):
        return pa.date32()
    if types.is_unsigned_integer(given):
        return pa.int64() if given.bit_width >= 32 else pa.int32()
    if types.is_float16(given):
        return pa.float32()
    if types.is_large_string(given) or types.is_null(given) or types.is_time(given):
        return pa.string()
    if types.is_large_binary(given) or types.is_fixed_size_binary(given):
        return pa.binary()
    if types.is_large_list(given) or types.is_fixed_size_list(given) or types.is_list(given):
        return pa.list_(_plain_type(given.value_type))
    if types.is_struct(given):
        return pa.struct([_plain_field(field) for field in given])
    return given


def _name(name: str) -> str:
    return _REFUSED.sub("_", name)


def _time() -> DataType:
    import pyarrow as pa

    return pa.timestamp("us", "UTC")
