"""Every row of a file is scored or rejected, once, whatever the job writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow import parquet

from mlops_dagster.landing.commit import commit
from mlops_dagster.landing.results import Results, WrongOutput, collect
from mlops_dagster.landing.rules import SchemaEvolution
from mlops_dagster.landing.staging import Fact, Facts
from mlops_dagster.landing.values import DropState
from tests.landing.written import AT, batch_of, tables_in

BATCH = batch_of("a.csv")
DROP = BATCH.drops[0].id
Columns = dict[str, Any]


def results_of(folder: Path, rows: int, scored: list[Columns], rejected: list[Columns]) -> Results:
    for name, files in (("scores", scored), ("rejected", rejected)):
        (folder / name).mkdir()
        for number, columns in enumerate(files):
            parquet.write_table(pa.table(columns), folder / name / f"{DROP}.csv.{number}.parquet")
    return collect(BATCH, facts_of(rows), folder / "scores", folder / "rejected")


def facts_of(rows: int) -> Facts:
    return Facts({DROP: Fact(rows=rows)})


@pytest.mark.parametrize(
    ("scored", "rejected", "problem"),
    [
        ([], [0, 0], "rows (1, 2, 3, ...) missing, row 0 twice"),
        ([], [7, -5, 99], "5 rows (0, 1, 2, ...) missing, 3 rows (7, -5, 99) not of the file"),
        ([0, 1, 2, 3], [3], "row 4 missing, row 3 twice"),
        ([0, 1, 2, 3, 5], [], "row 4 missing, row 5 not of the file"),
        ([0, 1, 2, 3, 4, None], [], "1 without a number"),
        ([0, 0, 1, 2, 3], [4], "row 0 twice"),
        ([3, 4], [0, 1], "row 2 missing"),
        ([], [], "5 rows (0, 1, 2, ...) missing"),
    ],
)
def test_a_row_that_is_not_scored_or_rejected_once_is_named_and_nothing_is_committed(
    tmp_path: Path, scored: list[int | None], rejected: list[int], problem: str
) -> None:
    with pytest.raises(WrongOutput) as refused:
        results_of(
            tmp_path,
            5,
            [{"row": pa.array(scored, pa.int64()), "q": [0.5] * len(scored)}] if scored else [],
            [{"row": rejected, "reason": ["odd"] * len(rejected)}] if rejected else [],
        )
    assert problem in str(refused.value)
    assert refused.value.drop == DROP


@pytest.mark.parametrize(
    ("scored", "rejected", "problem"),
    [
        (4, [0, 0], "row 0 twice"),
        (4, [5], "row 5 not of the file"),
        (3, [0], "row 4 missing"),
        (5, [0], "1 rows too many"),
        (2, [7, -5, 99], "3 rows (7, -5, 99) not of the file"),
    ],
)
def test_scores_without_numbers_are_those_of_the_rows_that_were_not_rejected(
    tmp_path: Path, scored: int, rejected: list[int], problem: str
) -> None:
    rejects = {"row": rejected, "reason": ["odd"] * len(rejected)}
    with pytest.raises(WrongOutput) as refused:
        results_of(tmp_path, 5, [{"q": [0.5] * scored}], [rejects])
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([{"q": [1.0, 2.0]}, {"q": [4.0]}], {0: 1.0, 2: 2.0, 4: 4.0}),
        ([{"row": [4, 0], "q": [4.0, 1.0]}, {"row": [2], "q": [2.0]}], {0: 1.0, 2: 2.0, 4: 4.0}),
        ([{"row": [4.0, 0.0, 2.0], "q": [4.0, 1.0, 2.0]}], {0: 1.0, 2: 2.0, 4: 4.0}),
    ],
)
def test_every_row_of_the_table_bears_its_number_in_the_file(
    tmp_path: Path, scored: list[Columns], expected: dict[int, float]
) -> None:
    rejects = {"row": [3, 1], "reason": ["odd", "bad"], "raw": ["x", "y"]}
    results = results_of(tmp_path, 5, scored, [rejects])
    assert results.outcomes[DROP].state is DropState.SCORED
    tables = tables_in(tmp_path / "tables")
    commit(
        tables,
        BATCH,
        facts_of(5),
        results,
        evolution=SchemaEvolution.NONE,
        model="m",
        at=AT,
    )
    found = DeltaTable(tables.scores).to_pyarrow_table().to_pylist()
    assert {row["row"]: row["q"] for row in found} == expected
    bad = DeltaTable(tables.quarantine).to_pyarrow_table().to_pylist()
    assert {(row["row"], row["reason"], row["content"]) for row in bad} == {
        (1, "bad", '{"raw": "y"}'),
        (3, "odd", '{"raw": "x"}'),
    }


def test_numbers_in_some_files_of_a_drop_and_not_in_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongOutput, match="The column row is in"):
        results_of(tmp_path, 2, [{"row": [0], "q": [0.5]}, {"q": [0.5]}], [])


def test_a_file_that_is_rejected_as_a_whole_and_scored_is_refused(tmp_path: Path) -> None:
    whole = {"row": pa.array([None], pa.int64()), "reason": ["odd"]}
    with pytest.raises(WrongOutput, match=r"rejected drop a.csv as a whole and scored 1 rows"):
        results_of(tmp_path, 1, [{"q": [0.5]}], [whole])
