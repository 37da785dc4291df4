from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.parallel.listing import files_below


def test_files_come_folder_by_folder_by_name(tmp_path: Path) -> None:
    for name in ["b.txt", "a/2 ü.txt", "a/1.txt", "c/d/e.txt", ".hidden"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative for file in files_below(tmp_path)]
    assert found == [".hidden", "a/1.txt", "a/2 ü.txt", "b.txt", "c/d/e.txt"]


def test_a_name_that_is_not_utf_8_is_a_file_like_any_other(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")).write_text("x")
    (file,) = files_below(tmp_path)
    assert Path(file.path).read_text() == "x"


def test_only_what_can_be_read_as_a_file_is_given(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert [file.relative for file in files_below(tmp_path)] == ["file", "link"]


@pytest.mark.parametrize(
    ("link", "target", "told"),
    [
        ("out", "/etc/passwd", "leads outside of"),
        ("up", "..", "leads outside of"),
        ("folder/round", "..", "leads around in a circle"),
        ("nowhere", "absent", "leads to nothing"),
    ],
)
def test_a_link_that_leads_astray_is_refused(
    tmp_path: Path, link: str, target: str, told: str
) -> None:
    root = tmp_path / "input"
    (root / "folder").mkdir(parents=True)
    (root / link).symlink_to(target)
    with pytest.raises(InvalidRequest, match=told):
        list(files_below(root))
