from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from mlops_dagster.errors import Conflict, NotFound
from mlops_dagster.landing import BatchState, DropState, Rules, differences, replay, status, tick
from tests.landing.place import AT_ONCE, SOON, Place, expected, score_files


def test_every_row_of_a_dropped_file_is_scored_once(place: Place) -> None:
    place.drop("a.parquet", [1, 2, 3])
    place.drop("sub/b.csv", [4, 5])
    place.run()
    place.run()
    assert place.keys() == expected({"a.parquet": 3, "sub/b.csv": 2})
    assert place.states() == {"a.parquet": DropState.SCORED, "sub/b.csv": DropState.SCORED}
    assert differences(place.landing) == []
    assert place.workspace.runs == 1


def test_a_row_carries_its_drop_its_model_and_the_time(place: Place) -> None:
    place.drop("a.parquet", [1])
    place.run()
    (row,) = place.scores().to_dict("records")
    (record,) = place.landing.ledger.drops()
    assert row["drop_id"] == record.drop.id
    assert (row["drop_path"], row["model"]) == ("a.parquet", "azureml:doubler:1")
    assert row["scored_at"].tzinfo is not None


def test_bad_rows_go_to_quarantine_and_the_rest_is_scored(place: Place) -> None:
    place.drop("a.csv", [1, "x", 3, "y"])
    (outcome,) = place.run()
    assert (outcome.scored, outcome.quarantined) == (2, 2)
    assert place.keys() == Counter(["a.csv:0", "a.csv:2"])
    bad = place.quarantine()
    assert bad["row"].tolist() == [1, 3]
    assert '"value": "x"' in bad["content"][0]
    assert differences(place.landing) == []


def test_a_file_that_the_job_rejects_as_a_whole_is_quarantined_with_its_rows(place: Place) -> None:
    (place.root / "drops" / "odd.csv").write_text("other\n1\n2\n")
    place.drop("a.csv", [1])
    place.run()
    assert place.states() == {"odd.csv": DropState.QUARANTINED, "a.csv": DropState.SCORED}
    assert place.reasons()["odd.csv"] == "rejected: no value"
    assert status(place.landing).quarantined == 2
    assert differences(place.landing) == []


def test_an_overwritten_file_is_a_new_drop(place: Place) -> None:
    place.drop("a.parquet", [1])
    place.run()
    place.drop("a.parquet", [2], key="again")
    place.run()
    assert place.keys() == Counter(["a.parquet:0", "again:0"])


def test_a_file_overwritten_before_it_was_read_is_scored_as_it_is_now(place: Place) -> None:
    place.drop("a.parquet", [1])
    (request,) = tick(place.landing).requests
    place.drop("a.parquet", [2, 3], key="again")
    place.score(request.batch.id)
    place.run()
    assert place.keys() == expected({"again": 2})
    states = [record.state for record in place.landing.ledger.drops()]
    assert states == [DropState.SUPERSEDED, DropState.SCORED]
    assert differences(place.landing) == []


def test_a_file_deleted_before_it_was_read_is_quarantined(place: Place) -> None:
    path = place.drop("a.parquet", [1])
    (request,) = tick(place.landing).requests
    path.unlink()
    place.score(request.batch.id)
    assert place.reasons() == {"a.parquet": "deleted: it was deleted before it was read"}


def test_a_file_moved_in_with_an_old_time_is_seen(place: Place) -> None:
    place.drop("a.parquet", [1])
    place.run()
    old = place.drop("b.parquet", [2])
    os.utime(old, (1, 1))
    place.run()
    assert place.keys() == expected({"a.parquet": 1, "b.parquet": 1})


def test_a_replacement_of_the_same_size_and_time_is_a_new_drop(place: Place) -> None:
    first = place.drop("a.csv", [1], key="k")
    os.utime(first, (1, 1))
    place.run()
    kept = first.rename(first.parents[1] / "kept")  # so that its inode is not given away again
    second = place.drop("a.csv", [2], key="k")
    os.utime(second, (1, 1))
    place.run()
    assert sorted(place.scores()["score"]) == [2.0, 4.0]
    kept.unlink()


def test_a_file_whose_permissions_or_links_change_is_not_scored_again(place: Place) -> None:
    file = place.drop("a.csv", [1])
    place.run()
    file.chmod(0o600)
    (file.parents[1] / "backup").hardlink_to(file)
    place.run()
    assert place.keys() == expected({"a.csv": 1})


def test_a_failed_batch_is_tried_again_and_then_parked_without_blocking_others(
    tmp_path: Path,
) -> None:
    def score(drops: Path, scores: Path, rejected: Path) -> None:
        if any(b"poison" in file.read_bytes() for file in drops.iterdir()):
            raise RuntimeError("the model choked")
        score_files(drops, scores, rejected)

    place = Place.make(
        tmp_path / "x", rules=Rules(SOON, attempts=2, retry_delay=AT_ONCE), score=score
    )
    place.drop("bad.csv", [1], key="poison")
    first = tick(place.landing).requests[0]
    place.drop("good.csv", [1])
    outcomes = place.run()
    tried = [outcome.state for outcome in outcomes if outcome.batch == first.batch.id]
    assert tried == [BatchState.WAITING, BatchState.FAILED]
    assert place.states() == {"bad.csv": DropState.FAILED, "good.csv": DropState.SCORED}
    assert "the model choked" in place.reasons()["bad.csv"]
    assert differences(place.landing) == []


def test_rows_that_a_job_loses_are_never_committed(tmp_path: Path) -> None:
    def score(drops: Path, scores: Path, rejected: Path) -> None:
        score_files(drops, scores, rejected)
        next(iter(scores.iterdir())).unlink()

    place = Place.make(tmp_path / "x", rules=Rules(limits=SOON, attempts=1), score=score)
    place.drop("a.csv", [1, 2])
    (outcome,) = place.run()
    assert outcome.state is BatchState.FAILED
    assert "has 2 rows; the job scored 0 and rejected 0" in (outcome.error or "")
    assert place.keys() == Counter()


def test_a_replayed_drop_is_scored_once_and_leaves_quarantine(tmp_path: Path) -> None:
    healed = tmp_path / "healed"

    def score(drops: Path, scores: Path, rejected: Path) -> None:
        if not healed.exists():
            for file in drops.iterdir():
                file.write_text("nothing\n1\n2\n3\n")
        score_files(drops, scores, rejected)

    place = Place.make(tmp_path / "x", score=score)
    place.drop("a.csv", [1, "x", 3])
    place.run()
    (record,) = place.landing.ledger.drops()
    assert record.state is DropState.QUARANTINED
    healed.touch()
    assert replay(place.landing, record.drop.id).state is DropState.WAITING
    assert differences(place.landing) == []
    place.run()
    assert place.keys() == Counter(["a.csv:0", "a.csv:2"])
    assert place.quarantine()["row"].tolist() == [1]
    assert differences(place.landing) == []
    with pytest.raises(Conflict, match="is scored"):
        replay(place.landing, record.drop.id)


def test_a_replay_that_fails_again_is_in_quarantine_once(place: Place) -> None:
    (place.root / "drops" / "odd.csv").write_text("other\n1\n")
    place.run()
    (record,) = place.landing.ledger.drops()
    replay(place.landing, record.drop.id)
    place.run()
    assert len(place.quarantine()) == 1
    assert differences(place.landing) == []


def test_what_does_not_exist_is_named(place: Place) -> None:
    with pytest.raises(NotFound, match="batch 'nope'"):
        place.score("nope")
    with pytest.raises(NotFound, match="drop 'nope'"):
        replay(place.landing, "nope")


def test_a_lost_ledger_scores_nothing_twice(place: Place) -> None:
    place.drop("a.csv", [1, "x"])
    place.run()
    for file in (place.root / ".mlops" / "landing").glob("flights.db*"):
        file.unlink()
    again = Place.make(place.root)
    again.drop("b.csv", [2])
    again.run()
    assert again.keys() == Counter(["a.csv:0", "b.csv:0"])
    assert len(again.quarantine()) == 1
    assert differences(again.landing) == []


def test_a_missing_row_and_a_double_row_show_as_differences(place: Place) -> None:
    from deltalake import DeltaTable, write_deltalake

    place.drop("a.csv", [1, 2])
    place.drop("b.csv", [1, 2])
    place.run()
    table = DeltaTable(place.landing.tables.scores)
    write_deltalake(table, place.scores().query("key == 'a.csv:0'"), mode="append")
    DeltaTable(place.landing.tables.scores).delete("key = 'b.csv:0'")
    found = {difference.drop.path: difference.scored for difference in differences(place.landing)}
    assert found == {"a.csv": 3, "b.csv": 1}
