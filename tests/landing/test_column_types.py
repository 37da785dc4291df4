from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mlops_dagster.landing.results import WrongOutput
from mlops_dagster.landing.rules import SchemaEvolution
from tests.landing.arrow_columns import columns, number_types, types
from tests.landing.written import column_of, write_and_commit

SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)
ONE_TYPE = types.flatmap(lambda kind: st.tuples(*(columns(st.just(kind)) for _ in range(2))))
PAIRS = ONE_TYPE | st.tuples(columns(number_types), columns(number_types) | columns(types))


@SLOW
@given(pair=PAIRS)
def test_what_a_script_writes_is_read_back_equal_or_refused_by_name(
    pair: tuple[pa.Array, pa.Array],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written: dict[str, list[Any]] = {}
        for drop, column in zip("ab", pair, strict=True):
            assume(is_written_by_parquet(folder / "try", column))
            before = {known: column_of(folder, known, "q") for known in written}
            if (refusal := refused(folder, drop, column)) is None:
                written[drop] = column.to_pylist()
            else:
                assert "The column q" in refusal
                assert not column_of(folder, drop, "q")
                assert {known: column_of(folder, known, "q") for known in written} == before
        for drop, values in written.items():
            assert plain(column_of(folder, drop, "q")) == plain(values)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (pa.array([1]), pa.array([2.5]), pa.float64()),
        (pa.array([1], pa.int8()), pa.array([2]), pa.int64()),
        (pa.array([1.5], pa.float32()), pa.array([2.5]), pa.float64()),
        (pa.nulls(1), pa.array(["x"]), pa.string()),
        (pa.array([[1]]), pa.array([[2.5]]), pa.list_(pa.float64())),
        (pa.array([1], pa.decimal128(5, 2)), pa.array([1], pa.int64()), pa.decimal128(21, 2)),
    ],
)
def test_a_column_becomes_as_wide_as_a_later_batch_needs_it(
    tmp_path: Path, first: pa.Array, second: pa.Array, kind: pa.DataType
) -> None:
    write_and_commit(tmp_path, "a", pa.table({"q": first}))
    write_and_commit(tmp_path, "b", pa.table({"q": second}))
    assert column_of(tmp_path, "a", "q") == first.to_pylist()
    assert column_of(tmp_path, "b", "q") == second.to_pylist()
    schema = DeltaTable(tmp_path / "scores").to_pyarrow_dataset().schema
    assert schema.field("q").type == kind


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([True]), pa.array([2])),
        (pa.array([date(2026, 1, 1)]), pa.array([datetime(2026, 1, 1, 5, tzinfo=UTC)])),
        (pa.array([datetime(2026, 1, 1, 5, tzinfo=UTC)]), pa.array([date(2026, 1, 1)])),
        (pa.array([1]), pa.array(["1"])),
        (pa.array([2**53 + 1]), pa.array([0.5])),
        (pa.array([0.5]), pa.array([2**53 + 1])),
        (pa.array([b"x"]), pa.array(["x"])),
    ],
)
def test_a_value_that_would_change_in_the_table_is_refused(
    tmp_path: Path, first: pa.Array, second: pa.Array
) -> None:
    write_and_commit(tmp_path, "a", pa.table({"q": first}))
    with pytest.raises(WrongOutput, match="column"):
        write_and_commit(tmp_path, "b", pa.table({"q": second}))
    assert column_of(tmp_path, "a", "q") == first.to_pylist()
    assert column_of(tmp_path, "b", "q") == []


def test_a_field_that_a_struct_gets_later_is_kept(tmp_path: Path) -> None:
    write_and_commit(tmp_path, "a", pa.table({"q": [{"a": 1}]}))
    write_and_commit(tmp_path, "b", pa.table({"q": [{"b": 2, "a": None}]}))
    assert column_of(tmp_path, "a", "q") == [{"a": 1, "b": None}]
    assert column_of(tmp_path, "b", "q") == [{"a": None, "b": 2}]


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"drop_id": ["mine"]}, "a column 'drop_id', which the landing adds itself"),
        ({"Model": ["T"]}, "a column 'Model', which the landing adds itself"),
        ({"scored at": ["now"]}, "a column 'scored at', which the landing adds itself"),
        ({"a b": [1], "a_b": [2]}, "The column a_b of"),
        ({"q": [1], "Q": [2]}, "The column Q of"),
    ],
)
def test_columns_that_would_take_anothers_place_are_refused(
    tmp_path: Path, columns: dict[str, list[Any]], named: str
) -> None:
    with pytest.raises(WrongOutput) as refused:
        write_and_commit(tmp_path, "a", pa.table(columns))
    assert named in str(refused.value)
    assert column_of(tmp_path, "a", "q") is None


@pytest.mark.parametrize(
    ("evolution", "first", "second", "said"),
    [
        (SchemaEvolution.ADD_COLUMNS, {"q": [1]}, {"q": [1], "r": [2]}, None),
        (SchemaEvolution.ADD_COLUMNS, {"q": [1]}, {"q": [1.5]}, "q of the scores is int64"),
        (SchemaEvolution.NONE, {"q": [1.5]}, {"q": [1]}, None),
        (SchemaEvolution.NONE, {"q": [1]}, {"q": [1], "r": [2]}, "r of the scores is new"),
    ],
)
def test_a_project_may_keep_later_batches_from_changing_the_columns(
    tmp_path: Path,
    evolution: SchemaEvolution,
    first: dict[str, list[Any]],
    second: dict[str, list[Any]],
    said: str | None,
) -> None:
    write_and_commit(tmp_path, "a", pa.table(first), evolution=evolution)
    with pytest.raises(WrongOutput, match=said) if said else nullcontext():
        write_and_commit(tmp_path, "b", pa.table(second), evolution=evolution)
    assert column_of(tmp_path, "b", "q") == ([] if said else second["q"])


def test_two_batches_that_widen_a_column_while_others_commit_lose_no_row(tmp_path: Path) -> None:
    kinds = [pa.int8(), pa.int64(), pa.float32(), pa.int16(), pa.float64(), pa.int32()]
    write_and_commit(tmp_path, "first", pa.table({"q": pa.array([1], pa.int8())}))
    columns = {f"d{n}": pa.array([n], kind) for n, kind in enumerate(kinds)}
    with ThreadPoolExecutor(len(kinds)) as pool:
        list(
            pool.map(
                lambda drop: write_and_commit(tmp_path, drop, pa.table({"q": columns[drop]})),
                columns,
            )
        )
    assert column_of(tmp_path, "first", "q") == [1]
    for drop, column in columns.items():
        assert column_of(tmp_path, drop, "q") == column.to_pylist()


def refused(folder: Path, drop: str, column: pa.Array) -> str | None:
    try:
        write_and_commit(folder, drop, pa.table({"q": column}))
    except WrongOutput as error:
        return str(error)
    return None


def is_written_by_parquet(file: Path, column: pa.Array) -> bool:
    try:
        parquet.write_table(pa.table({"q": column}), file)
        parquet.read_table(file)["q"].to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return True


def plain(value: Any) -> Any:
    """A value as the same in every type that holds it."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        there = {name: each for name, each in value.items() if each is not None}
        return {name.replace(" ", "_"): plain(each) for name, each in there.items()}
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    if isinstance(value, datetime):
        moment = pd.Timestamp(value)
        return moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return value
