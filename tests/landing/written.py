"""Score files of any content for a batch that was staged by hand, committed as a run commits it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from pyarrow import parquet

from mlops_dagster.landing import Tables
from mlops_dagster.landing.commit import commit, rehearse
from mlops_dagster.landing.results import collect
from mlops_dagster.landing.rules import SchemaEvolution
from mlops_dagster.landing.staging import Fact, Facts
from mlops_dagster.landing.values import Batch, Drop, Entry

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def tables_in(folder: Path) -> Tables:
    return Tables(str(folder / "scores"), str(folder / "quarantine"))


def batch_of(*paths: str) -> Batch:
    return Batch(tuple(Entry(Drop(path, "e", 1, AT)) for path in paths), AT)


def write_and_commit(
    folder: Path, name: str, columns: pa.Table, evolution: SchemaEvolution = SchemaEvolution.WIDEN
) -> None:
    """Commit a file of scores as a drop's. Raises WrongOutput."""
    tables, batch = tables_in(folder), batch_of(name)
    scores = folder / f"job-{name}" / "scores"
    scores.mkdir(parents=True)
    file = scores / f"{batch.drops[0].id}.csv.parquet"
    parquet.write_table(columns, file)
    facts = Facts({batch.drops[0].id: Fact(rows=len(columns))})
    results = collect(batch, facts, scores, None)
    rehearse(tables, batch, facts, results, evolution=evolution)
    commit(tables, batch, facts, results, evolution=evolution, model="m", at=AT)


def column_of(folder: Path, name: str, column: str) -> Sequence[Any] | None:
    """A drop's values of a column in the table, by row; None where there is no table."""
    if not (folder / "scores").exists():
        return None
    rows = DeltaTable(folder / "scores").to_pyarrow_table().to_pylist()
    mine = sorted((row for row in rows if row["drop_path"] == name), key=lambda row: row["row"])
    return [row.get(column) for row in mine]
