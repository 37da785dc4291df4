"""The rows of a table are the same, however it is cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_dagster.workspace.local.parallel.mltable import read_mltable
from mlops_dagster.workspace.local.parallel.tables import table_slices
from mlops_dagster.workspace.local.parallel.worker.tables import load

CSV = """whole,late,code,flag,none,text
1,1,001,True,,a
2,2,002,False,,b
3,,003,True,,3
4,4.5,x4,False,,"d"
"""


def frames(folder: Path, reader: str, size: str = "1mb", keys: tuple[str, ...] = ()) -> list[Any]:
    """Each mini batch of the files in a folder, as the script gets it."""
    (folder / "MLTable").write_text(f"paths: [pattern: '*.*']\ntransformations: [{reader}]\n")
    found = table_slices(read_mltable(folder), size, keys)
    # As a worker gets it, which is another process.
    requests = [json.loads(json.dumps(request)) for _, request, _ in found]
    return [frame for request in requests if len(frame := load(request["table"]))]


@pytest.mark.parametrize("size", ["1b", "30b", "60b", "1mb"])
def test_a_csv_has_the_types_that_pandas_finds_for_it_all(tmp_path: Path, size: str) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    whole = pd.read_csv(tmp_path / "a.csv")
    found = frames(tmp_path, "read_delimited", size)
    assert size == "1mb" or len(found) > 1
    for frame in found:
        assert dict(frame.dtypes) == dict(whole.dtypes)
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), whole)


@pytest.mark.parametrize("size", ["1b", "1mb"])
def test_what_is_converted_is_converted_from_what_is_written(tmp_path: Path, size: str) -> None:
    (tmp_path / "a.csv").write_text("code,share,flag\n007,1,yes\n,2.5,no\n010,,\n")
    rules = (
        "{columns: code, column_type: string}, {columns: share, column_type: float},"
        " {columns: flag, column_type: boolean}"
    )
    found = frames(tmp_path, f"read_delimited, convert_column_types: [{rules}]", size)
    rows = [row for frame in found for row in frame.astype(object).to_dict("records")]
    plain = [{key: None if pd.isna(value) else value for key, value in row.items()} for row in rows]
    assert plain == [
        {"code": "007", "share": 1.0, "flag": True},
        {"code": None, "share": 2.5, "flag": False},
        {"code": "010", "share": None, "flag": None},
    ]


def test_a_text_that_is_no_boolean_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("flag\nperhaps\n")
    with pytest.raises(ValueError, match="'perhaps' is not a boolean"):
        frames(
            tmp_path,
            "read_delimited, convert_column_types: [{columns: flag, column_type: boolean}]",
        )


@pytest.mark.parametrize("size", ["1b", "1mb"])
def test_json_lines_keep_their_types_and_have_every_column(tmp_path: Path, size: str) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "007", "n": 1, "x": 1, "mixed": 1},
        {"id": "008", "n": 2, "x": 2.5, "mixed": "two", "late": True},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = frames(tmp_path, "read_json_lines", size)
    whole = pd.concat(found, ignore_index=True)
    for frame in found:
        assert [str(kind) for kind in frame.dtypes][:3] == ["str", "int64", "float64"]
        assert list(frame.columns) == ["id", "n", "x", "mixed", "late"]
    assert whole["id"].tolist() == ["007", "008"]
    assert whole["mixed"].tolist() == [1, "two"]
    assert pd.isna(whole["late"][0])
    assert whole["late"][1] is True


@pytest.mark.parametrize("size", ["1b", "1mb"])
def test_parquet_with_missing_values_has_one_type_everywhere(tmp_path: Path, size: str) -> None:
    frame = pd.DataFrame({"n": pd.array([1, 2, None, 4], "Int64"), "whole": [1, 2, 3, 4]})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=1)
    frame.astype({"n": "float64"}).to_parquet(tmp_path / "b.parquet")
    for frame in frames(tmp_path, "read_parquet", size):
        assert [str(kind) for kind in frame.dtypes] == ["float64", "int64"]


def test_a_partition_key_that_files_write_differently_comes_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("store,v\n1,10\n2,20\n")
    (tmp_path / "b.csv").write_text("store,v\n1,11\n,12\n")
    (tmp_path / "c.csv").write_text("store,v\n01,13\nX,14\n")
    found = frames(tmp_path, "read_delimited", keys=("store",))
    stores = [frame["store"].drop_duplicates().tolist() for frame in found]
    assert all(len(store) == 1 for store in stores)
    assert sorted(str(store[0]) for store in stores) == ["01", "1", "2", "X", "nan"]
    assert sorted(pd.concat(found)["v"]) == [10, 11, 12, 13, 14, 20]


def test_a_partition_key_that_is_converted_is_told_by_its_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("store,v\n1,10\n01,20\n")
    rules = "convert_column_types: [{columns: store, column_type: int}]"
    found = frames(tmp_path, f"read_delimited, {rules}", keys=("store",))
    assert [frame["v"].tolist() for frame in found] == [[10, 20]]


def test_another_type_of_a_column_makes_other_mini_batches(tmp_path: Path) -> None:
    def identities() -> list[Any]:
        text = "paths: [pattern: '*.csv']\ntransformations: [read_delimited]\n"
        (tmp_path / "MLTable").write_text(text)
        slices = table_slices(read_mltable(tmp_path), "1mb", ())
        return [identity for identity, *_ in slices]

    (tmp_path / "a.csv").write_text("n\n1\n")
    (before,) = identities()
    (tmp_path / "b.csv").write_text("n\n2\n")
    assert identities()[0] == before
    (tmp_path / "c.csv").write_text("n\nx\n")
    assert identities()[0] != before
