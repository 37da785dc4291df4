"""Application transactions of a Delta table, many at a time."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from mlops_dagster.landing.tables import table_files

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

_FEW = 4


def transaction_versions(table: DeltaTable, ids: Collection[str]) -> dict[str, int]:
    """The version of each application id that the table, as it was opened, knows.

    Reads the checkpoint's ``txn`` column and the commits after it ("Checkpoints" in Delta's
    PROTOCOL.md). Where the log has another form, the table is asked for one id after the other.
    """
    if len(ids) > _FEW:
        found = logged_transactions(table)
        if found is not None:
            return {name: found[name] for name in ids if name in found}
    asked = {name: table.transaction_version(name) for name in ids}
    return {name: version for name, version in asked.items() if version is not None}


def logged_transactions(table: DeltaTable) -> dict[str, int] | None:
    """Every transaction up to the table's version; None where the log has another form."""
    files = table_files(table)
    found: dict[str, int] = {}
    start = 0
    if (text := _read(files, "_delta_log/_last_checkpoint")) is not None:
        last = json.loads(text)
        if last["version"] > table.version() or "parts" in last or "v2Checkpoint" in last:
            return None
        known = _checkpoint_transactions(files, last["version"])
        if known is None:
            return None
        found.update(known)
        start = last["version"] + 1
    for version in range(start, table.version() + 1):
        text = _read(files, f"_delta_log/{version:020d}.json")
        if text is None:
            return None
        for line in text.decode().splitlines():
            if '"txn"' in line and (action := json.loads(line).get("txn")):
                found[action["appId"]] = action["version"]
    return found


def _checkpoint_transactions(files: FileSystem, version: int) -> dict[str, int] | None:
    from pyarrow import compute, parquet

    name = f"_delta_log/{version:020d}.checkpoint.parquet"
    try:
        with files.open_input_file(name) as file, parquet.ParquetFile(file) as checkpoint:
            if "txn" not in checkpoint.schema_arrow.names:
                return None
            column = checkpoint.read(columns=["txn"])["txn"]
    except FileNotFoundError:
        return None
    given = column.combine_chunks().drop_null()
    names, numbers = (compute.struct_field(given, field) for field in ("appId", "version"))
    return dict(zip(names.to_pylist(), numbers.to_pylist(), strict=True))


def _read(files: FileSystem, name: str) -> bytes | None:
    try:
        with files.open_input_stream(name) as file:
            return bytes(file.read())
    except FileNotFoundError:
        return None
