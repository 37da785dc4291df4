from __future__ import annotations

import shutil
import string
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow import parquet

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.landing import (
    BatchState,
    DropState,
    Rules,
    Tables,
    commit,
    compact,
    differences,
    expire,
    fail_attempt,
    replay,
    scoring,
    tick,
)
from tests.landing.place import AT_ONCE, SOON, Place, Score, expected, score_files
from tests.landing.written import tables_in, write_and_commit

UNFIT: dict[str, pa.Array] = {
    "a duration": pa.array([timedelta(seconds=5)]),
    "a decimal of 60 digits": pa.array([1], pa.decimal256(60, 0)),
    "a UUID": pa.array([b"0123456789abcdef"], pa.uuid()),
    "a map of times too fine": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.timestamp("ns"))),
    "a time of day": pa.array([1], pa.time64("us")),
}


class Healing:
    """A scorer that writes something wrong until it is healed."""

    def __init__(self, wrong: Callable[[Path, Path, Path], None]) -> None:
        self.wrong = wrong
        self.is_healed = False

    def __call__(self, drops: Path, scores: Path, rejected: Path) -> None:
        (score_files if self.is_healed else self.wrong)(drops, scores, rejected)


def gives_up_and_recovers(place: Place, scorer: Healing) -> str:
    """The reason that a file is given up with; then it is replayed with a healed scorer."""
    place.drop("a.csv", [1])
    outcomes = place.run()
    assert [outcome.state for outcome in outcomes] == [BatchState.WAITING, BatchState.FAILED]
    assert place.states() == {"a.csv": DropState.FAILED}
    assert place.landing.ledger.open_batches() == []
    reason = place.reasons()["a.csv"]
    scorer.is_healed = True
    replay(place.landing, place.landing.ledger.drops()[0].drop.id)
    place.run()
    assert place.keys() == expected({"a.csv": 1})
    assert differences(place.landing) == []
    return reason


@pytest.mark.parametrize("kind", UNFIT)
def test_scores_that_delta_cannot_hold_fail_their_attempt_and_can_be_replayed(
    tmp_path: Path, kind: str
) -> None:
    def wrong(drops: Path, scores: Path, rejected: Path) -> None:
        for file in drops.iterdir():
            parquet.write_table(pa.table({"took": UNFIT[kind]}), scores / f"{file.name}.parquet")

    scorer = Healing(wrong)
    place = Place.make(
        tmp_path / "x", rules=Rules(SOON, attempts=2, retry_delay=AT_ONCE), score=scorer
    )
    assert "The column took of" in gives_up_and_recovers(place, scorer)


@pytest.mark.parametrize(
    ("rejected_rows", "said"),
    [
        (
            {"row": ["first"], "reason": ["odd"]},
            "does not hold row numbers: it has the type string",
        ),
        ({"row": [True], "reason": ["odd"]}, "does not hold row numbers: it has the type bool"),
        ({"row": [0.5], "reason": ["odd"]}, "does not hold row numbers: Float value"),
        ({"line": [0], "reason": ["odd"]}, "have no column row"),
        ({"row": [0]}, "have no column reason"),
        ({"row": [0], "reason": ["odd"], "at": [2**52]}, "cannot be written as JSON"),
    ],
)
def test_rejected_rows_that_cannot_be_written_down_fail_their_attempt_and_can_be_replayed(
    tmp_path: Path, rejected_rows: dict[str, list[Any]], said: str
) -> None:
    columns = pa.table(rejected_rows)
    if "at" in rejected_rows:
        columns = columns.set_column(2, "at", columns["at"].cast(pa.timestamp("ms")))

    def wrong(drops: Path, scores: Path, rejected: Path) -> None:
        for file in drops.iterdir():
            parquet.write_table(columns, rejected / f"{file.name}.parquet")

    scorer = Healing(wrong)
    place = Place.make(
        tmp_path / "x", rules=Rules(SOON, attempts=2, retry_delay=AT_ONCE), score=scorer
    )
    assert said in gives_up_and_recovers(place, scorer)


def test_a_panic_of_deltas_writer_fails_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(SOON, attempts=1, retry_delay=AT_ONCE))
    place.drop("a.csv", [1])

    def panics(*_: Any, **__: Any) -> None:
        DeltaTable.create(str(tmp_path / "["), pa.schema([("a", pa.int64())]))

    with monkeypatch.context() as patched:
        patched.setattr(commit, "transaction_versions", panics)
        (outcome,) = place.run()
    assert outcome.state is BatchState.FAILED
    assert "Delta cannot write the rows" in (outcome.error or "")


def test_a_constraint_of_the_table_fails_the_attempt_that_violates_it(tmp_path: Path) -> None:
    rules = Rules(SOON, attempts=1, retry_delay=AT_ONCE)
    place = Place.make(tmp_path / "x", rules=rules)
    place.drop("a.csv", [1])
    place.run()
    DeltaTable(place.landing.tables.scores).alter.add_constraint({"positive": "score > 0"})
    place.drop("b.csv", [-1])
    (outcome,) = place.run()
    assert outcome.state is BatchState.FAILED
    assert "Invalid data found" in (outcome.error or "")
    place.drop("c.csv", [2])
    place.run()
    assert place.keys() == expected({"a.csv": 1, "c.csv": 1})


def test_a_column_that_may_not_be_null_fails_the_attempt_that_leaves_it_out(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(SOON, attempts=1, retry_delay=AT_ONCE))
    required = pa.schema([pa.field("key", pa.string(), nullable=False)])
    required = required.append(pa.field("site", pa.string(), nullable=False))
    DeltaTable.create(place.landing.tables.scores, required)
    place.drop("a.csv", [1])
    (outcome,) = place.run()
    assert outcome.state is BatchState.FAILED
    assert "The column site of" in (outcome.error or "")


def test_a_table_made_by_somebody_else_keeps_its_columns(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x")
    required = pa.schema([pa.field("key", pa.string(), nullable=False)])
    DeltaTable.create(place.landing.tables.scores, required)
    place.drop("a.csv", [1])
    place.run()
    assert place.keys() == expected({"a.csv": 1})
    (key, *_) = DeltaTable(place.landing.tables.scores).schema().fields
    assert (key.name, key.nullable) == ("key", False)


def test_outputs_that_are_gone_when_they_are_committed_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.make(tmp_path / "x")
    place.drop("a.csv", [1, "bad", 3])
    batch = killed_while(place, monkeypatch, scoring, "commit")
    shutil.rmtree(place.root / "jobs")
    assert place.score(batch).state is BatchState.WAITING
    place.run()
    assert place.keys() == Counter(["a.csv:0", "a.csv:2"])
    assert differences(place.landing) == []


def test_outputs_that_are_gone_between_the_two_commits_are_made_anew_for_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.make(tmp_path / "x")
    place.drop("a.csv", [1, "bad", 3])
    batch = killed_while(place, monkeypatch, commit, "quarantine_schema", after=1)
    assert len(place.scores()) == 2
    shutil.rmtree(place.root / "jobs")
    assert place.score(batch).state is BatchState.WAITING
    place.run()
    assert place.keys() == Counter(["a.csv:0", "a.csv:2"])
    assert place.quarantine()["row"].tolist() == [1]
    assert differences(place.landing) == []


def rejects_the_first(drops: Path, scores: Path, rejected: Path) -> None:
    for file in drops.iterdir():
        file.write_text(file.read_text().replace(",1\n", ",worse\n").replace(",bad", ",2"))
    score_files(drops, scores, rejected)


def rejects_the_file(drops: Path, scores: Path, rejected: Path) -> None:
    for file in drops.iterdir():
        file.write_text("other\n1\n2\n3\n")
    score_files(drops, scores, rejected)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (rejects_the_first, "row 1 missing, row 0 twice"),
        (rejects_the_file, "row 1 missing, 1 without a number"),
    ],
)
def test_rows_rejected_by_another_attempt_than_scored_the_rest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Score, problem: str
) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(SOON, attempts=2, retry_delay=AT_ONCE))
    path = place.drop("a.csv", [1, "bad", 3])
    content = path.read_bytes()
    batch = killed_while(place, monkeypatch, commit, "quarantine_schema", after=1)
    shutil.rmtree(place.root / "jobs")
    place.workspace.score = other
    place.score(batch)
    (outcome,) = place.run()
    assert outcome.state is BatchState.FAILED
    assert problem in (outcome.error or "")
    (difference,) = differences(place.landing)
    assert "it is failed, and rows of it are in the tables" in str(difference)
    place.workspace.score = score_files
    assert path.read_bytes() == content
    replay(place.landing, difference.drop.id)
    place.run()
    assert place.keys() == Counter(["a.csv:0", "a.csv:2"])
    assert place.quarantine()["row"].tolist() == [1]
    assert differences(place.landing) == []


def test_a_batch_that_cannot_be_committed_can_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(SOON, attempts=1, retry_delay=AT_ONCE))
    place.drop("a.csv", [1])
    batch = killed_while(place, monkeypatch, scoring, "commit")
    assert fail_attempt(place.landing, batch, 1, "its run died").state is BatchState.FAILED
    replay(place.landing, place.landing.ledger.drops()[0].drop.id)
    place.run()
    assert place.keys() == expected({"a.csv": 1})


@pytest.mark.parametrize("name", [*string.punctuation.replace("/", ""), "%41", "a b", "\n", "ü"])
def test_a_path_that_delta_cannot_open_is_refused_and_any_other_works(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / f"x{name}y"
    folder.mkdir()
    if name in ("%41", "\n", *"[]\\^|"):
        with pytest.raises(InvalidRequest, match="in its path, which Delta cannot open"):
            tables_in(folder)
        return
    tables = tables_in(folder)
    for drop in ("a", "b"):
        write_and_commit(folder, drop, pa.table({"q": [1]}))
    compact(tables)
    expire(tables)
    assert len(DeltaTable(tables.scores).to_pyarrow_table()) == 2
    assert (folder / "scores" / "_delta_log").is_dir()


def test_a_table_elsewhere_may_have_any_address() -> None:
    Tables("abfss://c@a.dfs.core.windows.net/%41", "memory:///x[1]")


def killed_while(
    place: Place, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: int = 0
) -> str:
    """Score the batch that waits, in a process that ends when a function is called; its id."""
    (request,) = tick(place.landing).requests
    calls = 0
    real = getattr(module, name)

    def killed(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return real(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, killed)
        with pytest.raises(KeyboardInterrupt):
            place.score(request.batch.id)
    return request.batch.id
