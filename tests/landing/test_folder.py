from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.errors import StorageUnavailable
from mlops_dagster.landing import Limits, Rules, Selection, tick
from mlops_dagster.landing.ledger import Ledger
from mlops_dagster.landing.sources import FileChanged, Page
from mlops_dagster.landing.sources.folder import FolderSource
from mlops_dagster.landing.values import Batch, Drop, Entry, WaitingDrop, now
from mlops_dagster.objects import FolderStore
from tests.landing.place import SOON, Place, expected

ROOT = Path(__file__).parents[2]


def test_a_walk_without_time_goes_on_where_it_stopped_and_misses_nothing(tmp_path: Path) -> None:
    names = ["a/1", "a/b/2", "a-c", "a.d", "ab/3", "b", "z/y/x/w"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    source = FolderSource(tmp_path, Selection())
    pages: list[Page] = []
    for _ in range(len(names) + 1):
        pages += source.scan(pages[-1].cursor if pages else None, 0)
    assert [page.complete for page in pages] == [False] * len(names) + [True]
    assert sorted(drop.path for page in pages for drop in page.drops) == sorted(names)


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    (page,) = FolderSource(tmp_path / "later", Selection()).scan(None, 0)
    assert page.complete
    assert page.drops == ()


def test_a_file_that_grows_while_it_is_read_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("one\n")
    source = FolderSource(tmp_path, Selection())
    (page,) = source.scan(None, 0)
    fresh = tmp_path / "out"
    read = os.read

    def read_late(file: int, size: int) -> bytes:
        content: bytes = read(file, size)
        with path.open("a") as writer:
            writer.write("more\n")
        monkeypatch.undo()
        return content

    monkeypatch.setattr("os.read", read_late)
    with pytest.raises(FileChanged):
        source.fetch(page.drops[0], fresh)


def test_a_folder_that_vanished_is_unavailable_and_loses_no_drop(place: Place) -> None:
    place.drop("a.csv", [1])
    (request,) = tick(place.landing).requests
    drops = place.root / "drops"
    drops.rename(place.root / "away")
    with pytest.raises(StorageUnavailable):
        place.score(request.batch.id)
    (place.root / "away").rename(drops)
    place.run()
    assert place.keys() == expected({"a.csv": 1})


def test_files_wait_until_they_have_settled(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(SOON, settle=timedelta(hours=1)))
    place.drop("a.csv", [1])
    found = tick(place.landing)
    assert (found.new, found.waiting, found.requests) == (1, 1, ())
    assert "1 drops wait" in (found.skip_reason or "")


def test_files_count_only_when_a_marker_came_after_them(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", selection=Selection(marker="_SUCCESS"))
    place.drop("done/deep/a.csv", [1])
    place.drop("open/b.csv", [1])
    (place.root / "drops" / "done" / "_SUCCESS").touch()
    place.run()
    late = place.drop("done/late.csv", [1])
    place.run()
    assert place.keys() == expected({"done/deep/a.csv": 1})
    (place.root / "drops" / "done" / "_SUCCESS").write_text("again")
    assert late.exists()
    place.run()
    assert place.keys() == expected({"done/deep/a.csv": 1, "done/late.csv": 1})


def test_small_files_share_a_batch_and_batches_do_not_pile_up(tmp_path: Path) -> None:
    limits = Limits(drops=10, age=timedelta(0), open_batches=2)
    place = Place.make(tmp_path / "x", rules=Rules(limits))
    for number in range(45):
        place.drop(f"{number}.csv", [1])
    sizes = [len(request.batch.drops) for request in tick(place.landing).requests]
    assert sizes == [10, 10]
    assert tick(place.landing).made == 0
    place.run()
    assert place.workspace.runs == 5


def test_a_tick_that_died_before_it_asked_is_made_good_by_the_next(place: Place) -> None:
    place.drop("a.csv", [1])
    first = tick(place.landing).requests
    place.drop("b.csv", [1])
    again = tick(place.landing).requests
    assert again[0] == first[0]
    assert [len(request.batch.drops) for request in again] == [1, 1]


def cut_everything(file: str, store: str) -> None:
    ledger = Ledger(Path(file), shared=FolderStore(Path(store)) if store else None)

    def decide(waiting: object, _: int) -> list[Batch]:
        found: list[WaitingDrop] = list(waiting)  # type: ignore[call-overload]
        return [Batch((Entry(found[0].drop),), now())] if found else []

    while ledger.add_batches(decide):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("is_shared", [False, True])
def test_processes_that_cut_at_once_put_each_drop_into_one_batch(
    tmp_path: Path, is_shared: bool
) -> None:
    store = tmp_path / "store" if is_shared else None
    files = [tmp_path / (f"{n}.db" if is_shared else "one.db") for n in range(4)]
    ledger = Ledger(files[0], shared=FolderStore(store) if store else None)
    ledger.record_drops([Drop(f"{number}.csv", "e", 1, now()) for number in range(40)])
    code = "import sys; from tests.landing.test_folder import cut_everything as cut; cut(*sys.argv[1:])"
    workers = [
        subprocess.Popen([sys.executable, "-c", code, file, store or ""], cwd=ROOT)
        for file in files
    ]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0, 0]
    held = [record.batch.drops[0].path for record in ledger.open_batches()]
    assert sorted(held) == sorted(f"{number}.csv" for number in range(40))


def test_a_new_machine_starts_from_a_copy_of_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_dagster.landing.ledger.journal._COPY_EVERY", 5)
    store = FolderStore(tmp_path / "store")
    ledger = Ledger(tmp_path / "a.db", shared=store)
    for number in range(12):
        ledger.record_drops([Drop(f"{number}.csv", "e", 1, now())])
    assert len(store.names("copies/")) == 2
    for name in store.names("journal/")[:9]:
        (tmp_path / "store" / name).unlink()
    fresh = Ledger(tmp_path / "b.db", shared=store)
    assert fresh.drops() == ledger.drops()
