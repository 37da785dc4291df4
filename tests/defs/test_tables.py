"""Reading rows from what jobs write."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mlops_dagster.defs.tables import (
    count_rows,
    first_rows,
    markdown_table,
    read_rows,
    table_files,
    violations,
)


def test_folders_of_parquet_are_one_table_with_what_their_names_say(tmp_path: Path) -> None:
    for month in (1, 2):
        folder = tmp_path / "year=2013" / f"month={month:02d}"
        folder.mkdir(parents=True)
        pd.DataFrame({"day": [1, 2]}).to_parquet(folder / "part.parquet")
    (tmp_path / "_SUCCESS").touch()

    files = table_files(tmp_path)
    rows = read_rows(files)

    assert count_rows(files) == 4
    assert rows.to_dict("list") == {
        "day": [1, 2, 1, 2],
        "year": [2013] * 4,
        "month": [1, 1, 2, 2],
    }


def test_a_file_without_a_suffix_is_known_by_its_content(tmp_path: Path) -> None:
    parquet, text, other = (tmp_path / name for name in ("parquet", "text", "other"))
    pd.DataFrame({"a": [1]}).to_parquet(parquet)
    text.write_text("a,b\n1,2\n3,4\n")
    other.write_bytes(b"\x00\x01,\x02")

    assert table_files(tmp_path) == [parquet, text]
    assert [count_rows([each]) for each in (parquet, text)] == [1, 2]
    assert first_rows(text, 1).to_dict("list") == {"a": [1], "b": [2]}


def test_a_broken_rule_names_the_file_and_its_row(tmp_path: Path) -> None:
    schema = tmp_path / "schema.yml"
    schema.write_text("schema_type: dataframe\ncolumns: {a: {dtype: int64, checks: {ge: 0}}}\n")
    files = [tmp_path / "one.csv", tmp_path / "two.csv"]
    files[0].write_text("a\n1\n2\n")
    files[1].write_text("a\n3\n-7\n")

    (broken,) = violations(read_rows(files), schema, files)

    assert (broken.column, broken.count, broken.examples) == ("a", 1, ("two.csv row 1: -7",))


def test_nothing_in_a_cell_breaks_out_of_its_table() -> None:
    assert markdown_table(["a"], [["x | y\nz"]]).splitlines() == [
        "| a |",
        "| --- |",
        "| x \\| y z |",
    ]
