from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_dagster.landing import Acceptance, DropState, Rules, Selection, differences
from mlops_dagster.landing.probe import Probe
from mlops_dagster.landing.sources import FileRefused, Source
from mlops_dagster.landing.sources.folder import FolderSource
from mlops_dagster.landing.values import Drop, Reason, Refusal
from tests.landing import hostile
from tests.landing.place import SOON, Place


@pytest.mark.slow
def test_every_hostile_file_is_quarantined_with_a_reason_and_good_ones_are_scored(
    place: Place,
) -> None:
    drops = place.root / "drops"
    hostile.write_all(drops)
    place.drop("good.csv", [1])
    (drops / "bom.csv").write_bytes(b"\xef\xbb\xbfkey,value\nbom.csv:0,1\n")
    place.run()
    states = place.states()
    good = {path for path, state in states.items() if state is DropState.SCORED}
    assert good == {"good.csv", "bom.csv"}
    assert place.keys() == Counter(["good.csv:0", "bom.csv:0"])
    assert {path for path in states if path not in good} == set(hostile.CONTENT)
    assert all(place.reasons()[path] for path in hostile.CONTENT)
    assert sorted(place.quarantine()["drop_path"]) == sorted(hostile.CONTENT)
    assert differences(place.landing) == []


@pytest.mark.slow
def test_no_flipped_bit_ends_more_than_its_own_file(tmp_path: Path) -> None:
    dice = random.Random(7)
    good = hostile.good_parquet()
    with Probe(Acceptance(seconds=20)) as probe:
        for number in range(150):
            flipped = bytearray(good)
            for _ in range(dice.randint(1, 8)):
                flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
            path = tmp_path / f"{number}.parquet"
            path.write_bytes(flipped)
            found = probe.count_rows(path, ".parquet")
            assert isinstance(found, int) or found.reason in (Reason.UNREADABLE, Reason.EMPTY)
        (tmp_path / "good.parquet").write_bytes(good)
        assert probe.count_rows(tmp_path / "good.parquet", ".parquet") == 500


def test_a_file_that_takes_too_much_memory_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "bomb.parquet").write_bytes(hostile.claims_many_rows())
    (tmp_path / "good.parquet").write_bytes(hostile.good_parquet())
    with Probe(Acceptance(memory=100 << 20)) as probe:
        found = probe.count_rows(tmp_path / "bomb.parquet", ".parquet")
        assert isinstance(found, Refusal)
        assert found.reason is Reason.UNREADABLE
        assert probe.count_rows(tmp_path / "good.parquet", ".parquet") == 500


def test_a_reader_that_hangs_or_dies_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = tmp_path / "reader.py"
    reader.write_text(
        "import json, os, sys, time\n"
        "for line in sys.stdin:\n"
        "    path = json.loads(line)['path']\n"
        "    if 'hang' in path: time.sleep(1000)\n"
        "    if 'die' in path: os.kill(os.getpid(), 11)\n"
        "    print(json.dumps({'rows': 1}), flush=True)\n"
    )
    monkeypatch.setattr("mlops_dagster.landing.probe._INSPECTOR", reader)
    monkeypatch.setattr("mlops_dagster.landing.probe._START", 0.5)
    with Probe(Acceptance(seconds=0.5)) as probe:
        assert probe.count_rows(Path("die"), ".csv") == Refusal(
            Reason.UNREADABLE, "reading it ended its reader (signal 11)"
        )
        assert probe.count_rows(Path("hang"), ".csv") == Refusal(
            Reason.UNREADABLE, "reading it took over 0.5 s"
        )
        assert probe.count_rows(Path("fine"), ".csv") == 1


def test_links_pipes_and_strange_names_are_refused_and_nothing_outside_is_read(
    place: Place,
) -> None:
    drops = place.root / "drops"
    secret = place.root / "secret.csv"
    secret.write_text("key,value\nsecret,1\n")
    (drops / "link.csv").symlink_to(secret)
    (drops / "folder").symlink_to(place.root)
    os.mkfifo(drops / "pipe.csv")
    (drops / os.fsdecode(b"\xff\xfe.csv")).write_text("key,value\na,1\n")
    for name in ("sp ace.csv", "ünï.csv", "$(x);&.csv", "new\nline.csv"):
        (drops / name).write_text("key,value\nfine,1\n")
    place.run()
    bad = {path: reason for path, reason in place.reasons().items() if reason}
    assert bad.pop("folder").startswith("unknown_type")
    assert bad == {
        "link.csv": "outside: it is, or lies behind, a link",
        "pipe.csv": "empty: it has no bytes",
        "\\udcff\\udcfe.csv": "unsafe_name: its name is not valid Unicode",
    }
    assert place.keys() == Counter({"fine": 4})


@pytest.mark.parametrize(
    "path", ["../secret.csv", "a/../../secret.csv", "/etc/passwd", "..\\secret.csv", "a\0.csv"]
)
def test_a_name_that_climbs_out_is_never_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "drops").mkdir()
    (tmp_path / "secret.csv").write_text("x")
    source: Source = FolderSource(tmp_path / "drops", Selection())
    with pytest.raises(FileRefused) as refused:
        source.fetch(Drop(path, "e", 1, datetime.now(UTC)), tmp_path / "out")
    assert refused.value.refusal.reason is Reason.UNSAFE_NAME
    assert not (tmp_path / "out").exists()


def test_a_folder_swapped_for_a_link_after_it_was_seen_is_not_followed(tmp_path: Path) -> None:
    drops, outside = tmp_path / "drops", tmp_path / "outside"
    for folder in (drops / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x")
    source = FolderSource(drops, Selection())
    (page,) = source.scan(None, 0)
    (drops / "sub" / "a.csv").unlink()
    (drops / "sub").rmdir()
    (drops / "sub").symlink_to(outside)
    with pytest.raises(FileRefused):
        source.fetch(page.drops[0], tmp_path / "out")


def test_a_file_that_is_too_large_is_not_even_copied(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "x", rules=Rules(SOON, Acceptance(size=10)))
    place.drop("a.csv", [1, 2, 3])
    place.run()
    assert place.reasons()["a.csv"].startswith("too_large")


def test_reading_needs_nothing_of_the_package() -> None:
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1], run_name='x'); print(sorted(sys.modules))"
    )
    inspector = Path(sys.modules["mlops_dagster.landing"].__file__ or "").with_name("inspector.py")
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", code, inspector], capture_output=True, text=True, check=True
    ).stdout
    assert "mlops_dagster" not in loaded


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2", 1),
        (b"a,b\r\n1,2\r\n3,4\r\n", 2),
        (b"a\n1\n\n2\n", 2),
        (b'a,b\n1,"x\ny"', 1),
        (b'a,b\n1,"x""y"\n', 1),
        (b'a,b\n1,5" pipe\n2,3\n', 2),
        (b'a,b\n1,"x\n2,y\n', None),
        (b'a\n"x\n', None),
        (b'a,b\n1,2\n3,"', None),
    ],
)
def test_a_csv_file_that_ends_inside_of_a_quoted_field_is_refused(
    tmp_path: Path, content: bytes, rows: int | None
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with Probe(Acceptance()) as probe:
        found = probe.count_rows(tmp_path / "a.csv", ".csv")
    if rows is None:
        assert isinstance(found, Refusal)
        assert "a quoted field is open at its end" in found.detail
    else:
        assert found == rows
