"""Cutting a table: by approximate bytes, never across files, or by the values of columns.

A slice of CSV or JSON lines is a range of bytes; of Parquet, row groups. What is read here is what
tells where to cut, and once the types of the columns; see ``column_types``.

Source: ``mini_batch_size`` in "Troubleshooting the ParallelRunStep"
(learn.microsoft.com/azure/machine-learning/how-to-debug-parallel-run-step).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.parallel.column_types import types_of_parquet, types_of_slices
from mlops_dagster.workspace.local.parallel.listing import InputFile
from mlops_dagster.workspace.local.parallel.mltable import MLTable
from mlops_dagster.workspace.local.parallel.plan import size_in_bytes

_DEFAULT_SIZE = "1mb"
# So much of a file is in memory while the types of its columns are inferred.
_LOOK_SIZE = 16 << 20
# In these a byte 10 is always the end of a line.
_CAN_BE_CUT = frozenset({"utf-8-sig", "ascii", "iso-8859-1", "cp1252"})

Slice = tuple[Sequence[str], Mapping[str, Any], None]


def table_slices(
    table: MLTable, mini_batch_size: str | None, partition_keys: Sequence[str]
) -> Iterator[Slice]:
    """Identity and request of each mini batch of a table.

    Raises:
        InvalidRequest: a file cannot be read where that is needed to cut it, the size is not one,
            or a partition key is not a column.
    """
    described = _described(table)
    if partition_keys:
        yield from _by_values(table, described, partition_keys)
        return
    size = size_in_bytes(mini_batch_size or _DEFAULT_SIZE)
    types = json.dumps(described["dtypes"])
    for file, piece in _files(table):
        for number, cut in enumerate(_cuts(table, file, size)):
            identity = [f"{file.relative}:{file.stamp}:{number}:{size}", types]
            yield identity, {"table": described | {"pieces": [piece | cut]}}, None


def _files(table: MLTable) -> Iterator[tuple[InputFile, dict[str, Any]]]:
    """Each file with what is the same for all of its slices."""
    header = table.options.get("header", "all_files_same_headers")
    first: str | None = None
    for file in table.files():
        piece: dict[str, Any] = {"path": file.path, "columns": table.path_columns(file.relative)}
        if header == "from_first_file":
            if first is None:
                first = file.path
            else:
                piece["header_of"] = first
        yield file, piece


def _described(table: MLTable) -> dict[str, Any]:
    options = dict(table.options)
    options["headless"] = options.get("header") == "no_header"
    described = {
        "format": table.format,
        "options": options,
        "keep": table.keep,
        "drop": table.drop,
        "types": table.types,
    }
    return described | {"dtypes": _dtypes(table, described)}


def _dtypes(table: MLTable, described: Mapping[str, Any]) -> dict[str, str]:
    if table.format == "parquet":
        return types_of_parquet(table.files())
    if table.options.get("infer_column_types") is False:
        return {}
    pieces = (
        {"path": piece["path"], "header_of": piece.get("header_of")} | cut
        for file, piece in _files(table)
        for cut in _cuts(table, file, _LOOK_SIZE)
    )
    options = {**described["options"], "include_path_column": False}
    found = types_of_slices({**described, "options": options}, pieces)
    return {
        name: kind
        for name, kind in found.items()
        if name not in table.types or table.format == "json_lines"
    }


def _cuts(table: MLTable, file: InputFile, size: int) -> Iterator[dict[str, Any]]:
    if table.format == "parquet":
        yield from _row_groups(file, size)
    elif table.options["encoding"] not in _CAN_BE_CUT or table.options.get("support_multi_line"):
        yield {"start": 0, "end": None}
    else:
        starts = range(0, max(file.size, 1), size)
        yield from ({"start": at, "end": min(at + size, file.size)} for at in starts)


def _row_groups(file: InputFile, size: int) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as parquet:
            sizes = [
                parquet.metadata.row_group(group).total_byte_size
                for group in range(parquet.num_row_groups)
            ]
    except (OSError, pa.ArrowException):
        # The worker will fail to read it: one failed mini batch, not a failed step.
        yield {"groups": None}
        return
    groups: list[int] = []
    held = 0
    for group, length in enumerate(sizes):
        if groups and held + length > size:
            yield {"groups": groups}
            groups, held = [], 0
        groups.append(group)
        held += length
    yield {"groups": groups}


def _by_values(
    table: MLTable, described: Mapping[str, Any], keys: Sequence[str]
) -> Iterator[Slice]:
    """One mini batch for each combination of values, made of the files that have it."""
    whole = {"groups": None} if table.format == "parquet" else {"start": 0, "end": None}
    groups: dict[str, list[tuple[InputFile, dict[str, Any]]]] = {}
    values: dict[str, dict[str, Any]] = {}
    for file, piece in _files(table):
        told = {key: piece["columns"][key][1] for key in keys if key in piece["columns"]}
        for found in _combinations(
            described, file, piece | whole, [key for key in keys if key not in told]
        ):
            combination = {key: (told | found)[key] for key in keys}
            name = json.dumps(combination, default=str)
            values[name] = combination
            groups.setdefault(name, []).append((file, piece | whole))
    for name, members in sorted(groups.items()):
        types = json.dumps(described["dtypes"])
        identity = [name, types, *(f"{file.relative}:{file.stamp}" for file, _ in members)]
        pieces = [piece for _, piece in members]
        where = {
            key: value for key, value in values[name].items() if key not in pieces[0]["columns"]
        }
        request = {
            "table": {**described, "pieces": pieces, "where": where},
            "partition": values[name],
        }
        yield identity, request, None


def _combinations(
    described: Mapping[str, Any], file: InputFile, piece: Mapping[str, Any], keys: Sequence[str]
) -> list[dict[str, Any]]:
    """The combinations of values of columns that a file has; one empty one for no columns."""
    if not keys:
        return [{}]
    import pandas as pd

    from mlops_dagster.workspace.local.parallel.worker.tables import load

    try:
        frame = load({**described, "pieces": [piece], "keep": list(keys), "drop": []})
        distinct = frame.drop_duplicates()
    except KeyError as error:
        raise InvalidRequest(
            f"partition_keys: {file.relative!r} has no column {error.args[0]!r}."
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"partition_keys: {file.relative!r} cannot be read: {error}."
        ) from None
    plain = distinct.astype(object).where(distinct.notna(), None)
    return [
        {str(key): _plain(value) for key, value in row.items()}
        for row in pd.DataFrame(plain).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """A value as JSON has it; a moment in time as ISO 8601."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
