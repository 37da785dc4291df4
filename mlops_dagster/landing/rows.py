"""The rows of the two tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.landing.column_types import (
    UnfitType,
    cast,
    column_name,
    common_fields,
    fields_of_known_type,
    table_fields,
)
from mlops_dagster.landing.results import (
    ROW,
    Results,
    WrongOutput,
    blame,
    file_rows,
    file_schema,
    row_numbers,
)
from mlops_dagster.landing.rules import SchemaEvolution
from mlops_dagster.landing.staging import Facts
from mlops_dagster.landing.values import DropOutcome

if TYPE_CHECKING:
    from pyarrow import Array, Field, RecordBatch, Schema

    from mlops_dagster.landing.row_numbers import Numbers

_OURS = ("drop_id", "drop_path", ROW, "model", "scored_at")


def score_schema(results: Results, existing: Schema | None, evolution: SchemaEvolution) -> Schema:
    """The columns of the table as it is, then ours, then those that the score files add.

    A column that holds nulls alone is added with its first value. Raises WrongOutput where the
    files' columns do not fit the table, one another, or ours.
    """
    import pyarrow as pa

    before = list(existing) if existing is not None else []
    try:
        fields = common_fields(before, _our_fields())
    except UnfitType as error:
        raise WrongOutput(
            f"The table of scores has a column {error.field} of its own: {error.problem}.",
            remedy="Rename it, or let the landing have another table.",
        ) from None
    for drop, files in results.scores.items():
        for path in files:
            fields = _add_file_fields(fields, before, path, drop)
    try:
        schema = pa.schema(fields_of_known_type(fields))
    except UnfitType as error:
        raise WrongOutput(
            f"The column {error.field} of the scores has no type: {error.problem}.",
            remedy="Say its type where it is written, such as pa.list_(pa.string()).",
        ) from None
    if existing is not None:
        _refuse_evolution(existing, schema, evolution)
    return schema


def score_rows(
    pending: Mapping[str, int],
    paths: Mapping[str, str],
    results: Results,
    schema: Schema,
    model: str,
    at: datetime,
) -> Iterator[RecordBatch]:
    """The rows of the pending drops, a part at a time. Raises WrongOutput."""
    for drop in pending:
        ours = {"drop_id": drop, "drop_path": paths[drop], "model": model, "scored_at": at}
        with blame(drop):
            unnumbered = results.implied_numbers(drop)
            start = 0
            for path in results.scores[drop]:
                for part in file_rows(path):
                    numbers = None
                    if unnumbered is not None:
                        numbers = unnumbered[start : start + len(part)]
                        start += len(part)
                    yield _score_part(part, schema, ours, numbers, path)


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
            ("quarantined_at", pa.timestamp("us", "UTC")),
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
    """A row for each bad row of the pending drops, and one for each file that is bad as a whole.

    Raises WrongOutput where a rejected row cannot be written down.
    """
    import pyarrow as pa

    schema = quarantine_schema()
    for drop in pending:
        common = {"drop_id": drop, "drop_path": paths[drop], "batch": batch, "quarantined_at": at}
        outcome = results.outcomes[drop]
        if _is_whole(drop, facts, results, outcome):
            whole = {**common, "row": None, "reason": outcome.reason, "content": None}
            yield pa.RecordBatch.from_pylist([whole], schema=schema)
            continue
        rejects = results.rejects.get(drop)
        with blame(drop):
            for path in rejects.files if rejects is not None else ():
                for part in file_rows(path):
                    rows = [common | row for row in _quarantine_values(part, path)]
                    yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _is_whole(drop: str, facts: Facts, results: Results, outcome: DropOutcome) -> bool:
    rejects = results.rejects.get(drop)
    refused = facts.by_drop[drop].refusal is not None
    return refused or (rejects is not None and rejects.whole is not None and not outcome.scored)


def _add_file_fields(
    fields: list[Field], before: list[Field], path: Path, drop: str
) -> list[Field]:
    """The columns so far and those of a drop's score file; ``before`` are the table's alone."""
    with blame(drop):
        try:
            added = _score_fields(path)
            common_fields(before, added)
        except UnfitType as error:
            raise _unfit_error(error, path) from None
    try:
        return common_fields(fields, added)
    except UnfitType as error:
        # It fits the table: any file of the batch may be the odd one.
        raise _unfit_error(error, path) from None


def _unfit_error(error: UnfitType, path: Path) -> WrongOutput:
    return WrongOutput(
        f"The column {error.field} of {path.name} does not fit: {error.problem}.",
        remedy="Write it with the same type in every file and batch, or rename it.",
    )


def _our_fields() -> list[Field]:
    import pyarrow as pa

    kinds = (pa.string(), pa.string(), pa.int64(), pa.string(), pa.timestamp("us", "UTC"))
    return [pa.field(name, kind) for name, kind in zip(_OURS, kinds, strict=True)]


def _score_fields(path: Path) -> list[Field]:
    """The columns of a score file as the table has them, without the rows' numbers."""
    schema = file_schema(path)
    for name in schema.names:
        is_number = name == ROW and schema.names.count(ROW) == 1
        if column_name(name).lower() in _OURS and not is_number:
            raise WrongOutput(
                f"The score file {path.name} has a column {name!r}, which the landing adds itself.",
                remedy=f"Rename it; the landing's own are {', '.join(_OURS)}.",
            )
    return table_fields(field for field in schema if field.name != ROW)


def _refuse_evolution(existing: Schema, schema: Schema, evolution: SchemaEvolution) -> None:
    if evolution is SchemaEvolution.WIDEN:
        return
    for field in schema:
        if field.name in existing.names:
            before = existing.field(field.name).type
            if before == field.type:
                continue
            found = f"is {before}, and would have to become {field.type}"
        elif evolution is SchemaEvolution.ADD_COLUMNS or field.name in _OURS:
            continue
        else:
            found = "is new"
        raise WrongOutput(
            f"The column {field.name} of the scores {found}; schema_evolution is {evolution}.",
            remedy="Write what the table has, or allow it in project.yaml.",
        )


def _score_part(
    part: RecordBatch,
    schema: Schema,
    ours: Mapping[str, Any],
    numbers: Numbers | None,
    path: Path,
) -> RecordBatch:
    """Rows with the table's columns in the table's types."""
    import pyarrow as pa

    given = {
        column_name(name): column
        for name, column in zip(part.schema.names, part.columns, strict=True)
    }
    columns = []
    for field in schema:
        if field.name == ROW:
            columns.append(pa.array(numbers) if numbers is not None else given[ROW])
        elif field.name in ours:
            columns.append(pa.repeat(pa.scalar(ours[field.name], field.type), len(part)))
        elif field.name in given:
            columns.append(given[field.name])
        else:
            columns.append(pa.nulls(len(part), field.type))
    fitted = [
        _cast_column(column, field, path) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(fitted, schema=schema)


def _cast_column(column: Array, field: Field, path: Path) -> Array:
    import pyarrow as pa

    if column.null_count and not field.nullable:
        raise WrongOutput(
            f"The column {field.name} of {path.name} has nulls, which the table does not allow.",
            remedy="Write a value in every row.",
        )
    try:
        return cast(column, field.type)
    except (pa.ArrowException, UnicodeError) as error:
        first = str(error).splitlines()[0]
        raise WrongOutput(
            f"The column {field.name} of {path.name} holds a value that does not fit: {first}",
            remedy=f"The table has it as {field.type}; write values of that type.",
        ) from error


def _quarantine_values(part: RecordBatch, path: Path) -> Iterator[dict[str, Any]]:
    numbers = row_numbers(part.column(ROW), path).to_pylist()
    try:
        rows = part.to_pylist()
        for number, row in zip(numbers, rows, strict=True):
            rest = {k: value for k, value in row.items() if k not in (ROW, "reason", "source")}
            reason = None if row["reason"] is None else str(row["reason"])
            content = json.dumps(rest, default=str, ensure_ascii=False)
            yield {ROW: number, "reason": reason, "content": content}
    except (ValueError, TypeError, OverflowError) as error:
        raise WrongOutput(
            f"A rejected row of {path.name} cannot be written as JSON: {error}",
            remedy="Write its values as text.",
        ) from error
