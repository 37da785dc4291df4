from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyarrow import parquet

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.landing import (
    BatchState,
    Limits,
    Rules,
    compact,
    differences,
    expire,
    maintenance,
    scoring,
    tick,
)
from mlops_dagster.landing.transactions import logged_transactions, transaction_versions
from tests.landing.place import Place, expected

ONE_EACH = Rules(Limits(drops=1, age=timedelta(0), open_batches=50))


def test_batches_that_commit_at_once_all_arrive_once(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    names = [f"{number}.csv" for number in range(6)]
    for name in names:
        place.drop(name, [1, "bad"])
    batches = [request.batch.id for request in tick(place.landing).requests]
    threads = [threading.Thread(target=place.score, args=(batch,)) for batch in batches * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.keys() == Counter(f"{name}:0" for name in names)
    assert len(place.quarantine()) == 6
    assert differences(place.landing) == []


def test_half_a_batch_that_another_cut_committed_is_left_out(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    place.drop("a.csv", [1])
    place.run()
    place.drop("b.csv", [2])
    for file in (place.root / ".mlops" / "landing").glob("flights.db*"):
        file.unlink()
    again = Place.make(place.root)
    again.run()
    assert len(again.landing.ledger.drops(batch=again.landing.ledger.drops()[0].batch)) == 2
    assert again.keys() == expected({"a.csv": 1, "b.csv": 1})


def test_upkeep_loses_no_row_and_forgets_no_drop(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        place.drop(name, [1])
    place.run()
    assert [(done.added, done.removed) for done in compact(place.landing.tables)][1] == (1, 5)
    expire(place.landing.tables, keep=timedelta(hours=1))
    ids = [record.drop.id for record in place.landing.ledger.drops()]
    table = DeltaTable(place.landing.tables.scores)
    assert transaction_versions(table, ids) == dict.fromkeys(ids, 1)
    assert place.keys() == expected(dict.fromkeys(names, 1))
    with pytest.raises(InvalidRequest, match="could lose its files"):
        expire(place.landing.tables, keep=timedelta(0))


def test_tables_gather_no_more_small_files_than_are_soon_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_MANY", 4)
    place = Place.make(tmp_path / "x", rules=ONE_EACH)
    names = [f"{number}.csv" for number in range(10)]
    for name in names:
        place.drop(name, [1, "bad"])
        place.run()
    for uri in (place.landing.tables.scores, place.landing.tables.quarantine):
        assert len(DeltaTable(uri).file_uris()) < 4
    assert place.keys() == Counter(f"{name}:0" for name in names)
    assert differences(place.landing) == []


def test_a_table_that_forgets_transactions_is_refused(place: Place) -> None:
    place.drop("a.csv", [1])
    place.run()
    name = "delta.setTransactionRetentionDuration"
    table = DeltaTable(place.landing.tables.scores)
    table.alter.set_table_properties({name: "interval 1 days"})
    place.drop("b.csv", [1])
    with pytest.raises(InvalidRequest, match="drops could be scored twice"):
        place.run()


@pytest.mark.parametrize("checkpoint", [True, False])
def test_transactions_read_from_the_log_are_those_that_the_table_tells(
    tmp_path: Path, checkpoint: bool
) -> None:
    rows = pa.table({"a": [1]})
    for number in range(7):
        changed = CommitProperties(app_transactions=[Transaction(f"t{number % 5}", number)])
        write_deltalake(str(tmp_path), rows, mode="append", commit_properties=changed)
        if checkpoint and number == 3:
            DeltaTable(tmp_path).create_checkpoint()
    old, new = DeltaTable(tmp_path, version=2), DeltaTable(tmp_path)
    for table in (old, new):
        names = [f"t{number}" for number in range(8)]
        told = {name: table.transaction_version(name) for name in names}
        assert transaction_versions(table, names) == {
            k: v for k, v in told.items() if v is not None
        }
    # Falling back to one question a drop would be right, and far too slow.
    assert logged_transactions(new) == {f"t{n}": new.transaction_version(f"t{n}") for n in range(5)}
    assert (logged_transactions(old) is None) is checkpoint


def test_any_reader_reads_the_tables_without_a_table_feature(tmp_path: Path) -> None:
    def score(drops: Path, scores: Path, rejected: Path) -> None:
        for number, file in enumerate(sorted(drops.iterdir())):
            columns = {
                "small": pa.array([1], pa.uint8() if number else pa.int64()),
                "naive": pa.array([0], pa.timestamp("ns")),
                "word": pa.array(["x"]).dictionary_encode(),
                "nothing": pa.nulls(1),
                "odd name (x)": pa.array([1.5], pa.float32()),
            }
            if number:
                columns["more"] = pa.array([True])
            parquet.write_table(pa.table(columns), scores / f"{file.name}.parquet")

    place = Place.make(tmp_path / "x", score=score)
    place.drop("a.csv", [1])
    place.drop("b.csv", [1])
    place.run()
    for uri in (place.landing.tables.scores, place.landing.tables.quarantine):
        protocol = DeltaTable(uri).protocol()
        assert (protocol.min_reader_version, protocol.reader_features) == (1, None)
    found = place.scores()
    assert found["odd_name__x_"].tolist() == [1.5, 1.5]
    assert sorted(found["more"].isna()) == [False, True]
    assert isinstance(found["naive"].dtype, pd.DatetimeTZDtype)


def by_its_value(drops: Path, scores: Path, rejected: Path) -> None:
    """A number's score is a number, a word's a word."""
    for file in drops.iterdir():
        value = pd.read_csv(file, dtype=str)["value"][0]
        odd = pd.DataFrame({"score": [value if value == "word" else float(value)]})
        odd.to_parquet(scores / f"{file.name}.parquet")


def test_a_batch_whose_scores_no_longer_fit_when_they_are_committed_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = Rules(ONE_EACH.limits, attempts=1)
    place = Place.make(tmp_path / "x", rules=rules, score=by_its_value)
    place.drop("a.csv", ["word"])
    place.drop("b.csv", [1])
    late, soon = (request.batch.id for request in tick(place.landing).requests)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(scoring, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            place.score(late)
    assert place.score(soon).scored == 1
    ended = place.score(late)
    assert ended.state is BatchState.FAILED
    assert "The column score" in (ended.error or "")
    assert place.landing.ledger.open_batches() == []
    assert differences(place.landing) == []
    assert len(place.quarantine()) == 0


def test_scores_that_do_not_fit_the_table_fail_before_anything_is_committed(
    tmp_path: Path,
) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(ONE_EACH.limits, attempts=1), score=by_its_value)
    place.drop("a.csv", [1])
    place.run()
    place.drop("b.csv", ["word"])
    (outcome,) = place.run()
    assert "The column score" in (outcome.error or "")
    place.drop("c.csv", [3])
    place.run()
    assert sorted(place.scores()["score"]) == [1.0, 3.0]
    assert differences(place.landing) == []
