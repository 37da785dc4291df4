"""Which drop a file is, after a restore, a move, an outage, or a writer that takes its time."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_dagster.errors import StorageUnavailable
from mlops_dagster.landing import DropState, Rules, differences, tick
from mlops_dagster.landing.ledger import Ledger
from mlops_dagster.landing.values import Drop
from tests.landing.place import AT_ONCE, SOON, Place, expected

AT = datetime(2026, 1, 1, tzinfo=UTC)


def copied(place: Place) -> None:
    """Put a copy in place of the drops, with their times, as a backup that is restored has them."""
    drops = place.root / "drops"
    shutil.copytree(drops, place.root / "copy")
    shutil.rmtree(drops)
    (place.root / "copy").rename(drops)


def test_a_drop_folder_that_is_restored_from_a_copy_is_not_scored_again(place: Place) -> None:
    for number in range(3):
        place.drop(f"{number}.csv", [number])
    place.run()
    copied(place)
    assert tick(place.landing).new == 0
    place.run()
    assert place.keys() == expected({f"{number}.csv": 1 for number in range(3)})


def test_a_restore_that_lost_the_times_is_settled_by_the_content(place: Place) -> None:
    path = place.drop("a.csv", [1])
    place.run()
    copied(place)
    os.utime(path)
    assert tick(place.landing).new == 0
    path.write_text("key,value\na.csv:0,2\n")
    place.run()
    assert sorted(place.scores()["score"]) == [2.0, 4.0]


def test_a_moved_state_folder_and_drop_folder_score_nothing_again(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "one")
    place.drop("a.csv", [1, "x"])
    place.run()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    shutil.rmtree(tmp_path / "one")
    moved = Place.make(tmp_path / "two")
    moved.drop("b.csv", [1])
    moved.run()
    assert moved.keys() == Counter(["a.csv:0", "b.csv:0"])
    assert differences(moved.landing) == []


def test_other_content_with_the_same_size_and_time_in_the_same_file_is_a_new_drop(
    place: Place,
) -> None:
    path = place.drop("a.csv", [1], key="k")
    os.utime(path, (1, 1))
    place.run()
    with path.open("r+") as file:
        file.write(path.read_text().replace(",1", ",2"))
    os.utime(path, (1, 1))
    place.run()
    place.run()
    assert sorted(place.scores()["score"]) == [2.0, 4.0]
    assert differences(place.landing) == []


def test_a_ledger_of_an_older_version_knows_its_drops_again(place: Place) -> None:
    old = []
    for name in ("scored.csv", "waiting.csv"):
        status = place.drop(name, [1]).stat()
        etag = f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
        old.append(Drop(name, etag, status.st_size, AT))
        place.landing.ledger.record_drops(old[-1:])
        if name == "scored.csv":
            place.run()
    with sqlite3.connect(place.root / ".mlops" / "landing" / "flights.db") as connection:
        connection.execute("DROP TABLE files")
        connection.execute("DROP TABLE digests")
    copied(place)
    again = Place.make(place.root)
    again.run()
    assert again.keys() == expected({"scored.csv": 1, "waiting.csv": 1})
    assert {record.drop.id for record in again.landing.ledger.drops()} == {one.id for one in old}


def test_a_file_that_comes_back_after_it_was_gone_is_scored(place: Place) -> None:
    path = place.drop("a.csv", [1, "x"])
    (request,) = tick(place.landing).requests
    path.rename(place.root / "away")
    place.score(request.batch.id)
    assert place.states() == {"a.csv": DropState.QUARANTINED}
    (place.root / "away").rename(path)
    place.run()
    assert place.states() == {"a.csv": DropState.SCORED}
    assert place.keys() == Counter(["a.csv:0"])
    assert place.quarantine()["reason"].tolist() == ["not a number"]
    assert differences(place.landing) == []


def test_a_share_that_is_unmounted_for_a_moment_loses_no_file(place: Place) -> None:
    for number in range(3):
        place.drop(f"{number}.csv", [number])
    (request,) = tick(place.landing).requests
    drops = place.root / "drops"
    drops.rename(place.root / "share")
    assert "is not there any more" in (tick(place.landing).problem or "")
    with pytest.raises(StorageUnavailable):
        place.score(request.batch.id)
    drops.mkdir()  # the mount point, with nothing mounted
    place.score(request.batch.id)
    assert set(place.states().values()) == {DropState.QUARANTINED}
    drops.rmdir()
    (place.root / "share").rename(drops)
    place.run()
    assert place.keys() == expected({f"{number}.csv": 1 for number in range(3)})
    assert len(place.quarantine()) == 0


def test_a_file_that_grows_slowly_is_scored_once_when_it_is_whole(tmp_path: Path) -> None:
    rules = Rules(SOON, settle=timedelta(seconds=1), retry_delay=AT_ONCE)
    place = Place.make(tmp_path / "x", rules=rules)
    path = place.root / "drops" / "slow.csv"
    path.write_text("key,value\n")
    for number in range(20):
        with path.open("a") as file:
            file.write(f"slow.csv:{number},{number}\n")
        assert tick(place.landing).requests == ()
    while not tick(place.landing).requests:
        continue
    place.run()
    assert place.workspace.runs == 1
    assert place.keys() == expected({"slow.csv": 20})
    records = place.landing.ledger.drops()
    assert [record.state for record in records[:-1]] == [DropState.SUPERSEDED] * (len(records) - 1)
    assert {each.outcome.reason for each in records[:-1] if each.outcome} == {
        "overwritten before it was read"
    }


def test_events_in_any_order_leave_the_newest_version_of_a_path_waiting(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.db")
    old, new = Drop("a.csv", "1", 1, AT), Drop("a.csv", "2", 1, AT + timedelta(seconds=1))
    ledger.record_drops([new], is_listing=False)
    ledger.record_drops([old], is_listing=False)
    ledger.record_drops([old], is_listing=False)
    states = {record.drop.etag: record.state for record in ledger.drops()}
    assert states == {"1": DropState.SUPERSEDED, "2": DropState.WAITING}
    ledger.record_drops([old], is_listing=True)
    states = {record.drop.etag: record.state for record in ledger.drops()}
    assert states == {"1": DropState.WAITING, "2": DropState.SUPERSEDED}


def test_a_disk_that_fails_for_a_while_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.drop("a.csv", [1])
    (request,) = tick(place.landing).requests

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("os.read", fail)
        with pytest.raises(StorageUnavailable, match="Input/output error"):
            place.score(request.batch.id)
    place.score(request.batch.id)
    assert place.keys() == expected({"a.csv": 1})
