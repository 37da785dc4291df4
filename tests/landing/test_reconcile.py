from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake

from mlops_dagster.landing import Limits, Rules, compact, differences, reconcile, tables, tick
from tests.landing.place import Place

ONE_EACH = Rules(Limits(drops=1, age=timedelta(0), open_batches=50))


def problems(place: Place, batch: str | None = None) -> dict[str, str]:
    return {each.drop.path: each.problem for each in differences(place.landing, batch=batch)}


def test_a_missing_row_is_not_made_up_for_by_a_double_one(place: Place) -> None:
    place.drop("a.csv", [1, 2, 3])
    (outcome,) = place.run()
    table = DeltaTable(place.landing.tables.scores)
    write_deltalake(table, place.scores().query("row == 0"), mode="append")
    DeltaTable(place.landing.tables.scores).delete("row = 2")
    assert problems(place) == {"a.csv": "row 2 missing, row 0 twice"}
    assert problems(place, outcome.batch) == {"a.csv": "row 2 missing, row 0 twice"}


def test_a_row_that_is_in_both_tables_is_a_difference(place: Place) -> None:
    place.drop("a.csv", [1, "bad"])
    place.run()
    table = DeltaTable(place.landing.tables.quarantine)
    write_deltalake(table, place.quarantine().assign(row=0), mode="append")
    assert problems(place) == {"a.csv": "row 0 twice"}


def test_a_row_of_another_writer_without_a_number_is_a_difference(place: Place) -> None:
    place.drop("a.csv", [1])
    place.run()
    foreign = place.scores().assign(row=pd.array([None], dtype="Int64"))
    write_deltalake(DeltaTable(place.landing.tables.scores), foreign, mode="append")
    assert problems(place) == {"a.csv": "1 without a number"}


def test_rows_deleted_by_another_writer_after_a_compaction_disturb_no_later_batch(
    tmp_path: Path,
) -> None:
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    for name in ("a.csv", "b.csv"):
        place.drop(name, [1, 2])
    place.run()
    compact(place.landing.tables)
    DeltaTable(place.landing.tables.scores).delete("key = 'a.csv:0'")
    place.drop("c.csv", [1, 2])
    (outcome,) = place.run()
    assert problems(place, outcome.batch) == {}
    assert problems(place) == {"a.csv": "row 0 missing"}


def test_a_batch_is_reconciled_from_the_files_of_its_own_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    for number in range(12):
        place.drop(f"{number}.csv", [1, "bad"])
    batches = [outcome.batch for outcome in place.run()]
    opened: list[int] = []
    found = tables._data_files

    def counted(*given: object) -> Sequence[str]:
        paths = found(*given)  # type: ignore[arg-type]
        opened.append(len(paths))
        return paths

    monkeypatch.setattr(tables, "_data_files", counted)
    for batch in batches:
        assert problems(place, batch) == {}
    assert opened == [1, 1] * 12
    opened.clear()
    compact(place.landing.tables)
    assert problems(place, batches[5]) == {}
    assert opened == [1, 1]


def test_drops_that_another_cut_had_committed_are_looked_for_in_the_whole_table(
    tmp_path: Path,
) -> None:
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    place.drop("a.csv", [1, "bad"])
    place.run()
    place.drop("b.csv", [2])
    for file in (place.root / ".mlops" / "landing").glob("flights.db*"):
        file.unlink()
    again = Place.make(place.root)
    (request,) = tick(again.landing).requests
    again.score(request.batch.id)
    assert len(again.landing.ledger.drops(batch=request.batch.id)) == 2
    assert problems(again, request.batch.id) == {}


def test_a_table_of_any_size_is_reconciled_a_group_of_drops_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.make(tmp_path / "x")
    for number in range(5):
        place.drop(f"{number}.csv", [1, 2])
    place.run()
    DeltaTable(place.landing.tables.scores).delete("key = '3.csv:1'")
    monkeypatch.setattr(reconcile, "_MOST_ROWS", 4)
    assert problems(place) == {"3.csv": "row 1 missing"}
    monkeypatch.setattr(reconcile, "_MOST_DROPS", 1)
    assert problems(place) == {"3.csv": "row 1 missing"}
