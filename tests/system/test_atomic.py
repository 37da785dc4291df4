"""Files and folders that appear, change and go whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.system import atomic

_KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from mlops_dagster.system import atomic

with atomic.replacement(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""

_CREATOR = """
import sys
from pathlib import Path
from mlops_dagster.system import atomic

sys.stdin.readline()
print(atomic.create(Path(sys.argv[1]), sys.argv[2].encode()))
"""


def test_a_writer_that_is_killed_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    atomic.write(file, b"whole", durable=True)
    subprocess.run([sys.executable, "-c", _KILLED_WRITER, str(file)], check=False)
    assert file.read_bytes() == b"whole"


def test_a_block_that_fails_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    atomic.write(file, b"whole")
    with pytest.raises(ZeroDivisionError), atomic.replacement(file) as opened:
        opened.write(b"%d" % (1 // 0))
    assert file.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [file]


def test_of_processes_that_create_one_file_one_does(tmp_path: Path) -> None:
    file = tmp_path / "leader"
    creators = [
        subprocess.Popen(
            [sys.executable, "-c", _CREATOR, str(file), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for creator in creators:
        assert creator.stdin is not None
        creator.stdin.write("\n")
        creator.stdin.flush()
    answers = [creator.communicate()[0].strip() for creator in creators]
    assert sorted(answers) == ["False", "False", "False", "True"]
    assert file.read_text() == str(answers.index("True"))
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_move_never_replaces_what_is_there(tmp_path: Path, kind: str) -> None:
    first, second = _new_entry(tmp_path / "first", kind), _new_entry(tmp_path / "second", kind)
    target = tmp_path / "target"
    assert atomic.move(first, target)
    assert not first.exists()
    assert not atomic.move(second, target)
    assert second.exists()
    assert (target / "name" if kind == "folder" else target).read_text() == "first"


def test_a_folder_does_not_take_the_place_of_a_file(tmp_path: Path) -> None:
    folder, file = _new_entry(tmp_path / "folder", "folder"), _new_entry(tmp_path / "file", "file")
    assert not atomic.move(folder, file)
    assert file.read_text() == "file"


def test_a_folder_that_is_not_there_is_removed(tmp_path: Path) -> None:
    atomic.remove_folder(_new_entry(tmp_path / "folder", "folder"))
    atomic.remove_folder(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_a_name_may_be_as_long_as_the_disk_takes(tmp_path: Path, name: str) -> None:
    atomic.write(tmp_path / name, b"content")
    assert (tmp_path / name).read_bytes() == b"content"


def _new_entry(path: Path, kind: str) -> Path:
    if kind == "folder":
        path.mkdir()
        (path / "name").write_text(path.name)
    else:
        path.write_text(path.name)
    return path
