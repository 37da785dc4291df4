"""The type of each column of a table, the same for all of its mini batches.

pandas tells the types of what it reads at once: read in slices, a column would be whole numbers in one
mini batch, floats in the next and text in a third. So the whole table is looked at once before it is
cut, slice by slice, and every slice is then read with the types that pandas finds for it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlops_dagster.workspace.local.parallel.listing import InputFile

TEXT, MIXED = "str", "object"
_PLAIN = ("int64", "uint64", "float64", "bool")


def types_of_slices(
    table: Mapping[str, Any], pieces: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """The types of the columns of a table of lines, in the order in which they are met.

    Args:
        table: as ``worker.tables.load`` takes it.
        pieces: all of its slices; one that cannot be read is left to the worker that has it.
    """
    from mlops_dagster.workspace.local.parallel.worker.tables import read_piece

    mixed = TEXT if table["format"] == "delimited" else MIXED
    found: dict[str, str | None] = {}
    seen: dict[str, int] = {}
    count = 0
    for piece in pieces:
        try:
            frame = read_piece(dict(table), dict(piece))
        except Exception:  # noqa: BLE001, S112 - whatever pandas raises, the worker says it
            continue
        count += len(frame) > 0
        for name in map(str, frame.columns if len(frame) else ()):
            kind = _kind(frame[name], mixed)
            found[name] = _common(found[name], kind, mixed) if name in found else kind
            seen[name] = seen.get(name, 0) + 1
    # A key that some slices of JSON lines lack is missing in their rows.
    return {
        name: (_common(kind, None, mixed) if seen[name] < count else kind) or "float64"
        for name, kind in found.items()
    }


def types_of_parquet(files: Iterable[InputFile]) -> dict[str, str]:
    """The types that columns take which pandas reads in another way where values are missing.

    Also those of columns that are whole numbers in one file and floats in another.
    """
    found: dict[str, str] = {}
    for file in files:
        for name, kind, has_missing in _parquet_columns(file):
            own = (_common(kind, None, MIXED) or MIXED) if has_missing else kind
            found[name] = _common(found.get(name, own), own, MIXED) or MIXED
    return found


def _parquet_columns(file: InputFile) -> Iterator[tuple[str, str, bool]]:
    """Name, type and whether values may be missing, of each flat column of a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import types

    try:
        with pq.ParquetFile(file.path) as parquet:
            metadata, schema = parquet.metadata, parquet.schema_arrow
    except (OSError, pa.ArrowException):  # the worker that has it says so
        return
    for at in range(metadata.num_columns):
        name = metadata.schema.column(at).path
        if name not in schema.names:  # nested
            continue
        kind = schema.field(name).type
        if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
            statistics = [group.column(at).statistics for group in groups]
            missing = any(each is None or each.null_count != 0 for each in statistics)
            yield name, str(kind.to_pandas_dtype()().dtype), missing


def _kind(column: Any, mixed: str) -> str | None:
    """The type of a column of a slice; None where every value is missing."""
    if column.isna().all():
        return None
    if (kind := str(column.dtype)) in _PLAIN:
        return kind
    return TEXT if column.dropna().map(type).eq(str).all() else mixed


def _common(one: str | None, other: str | None, mixed: str) -> str | None:
    """The type that takes the values of both; None stands for missing values."""
    if one == other:
        return one
    if {one, other} == {TEXT, None}:
        return TEXT
    kinds = {one, other}
    if all(kind is None or kind.startswith(("int", "uint", "float")) for kind in kinds):
        return mixed if "uint64" in kinds and None not in kinds else "float64"
    return mixed
