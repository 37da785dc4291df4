"""The files below a folder, with a stated rule for links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.system import walk as module
from mlops_dagster.system.walk import Links, walk


def names(root: Path, links: Links = Links.INSIDE) -> list[str]:
    return [entry.name for entry in walk(root, links=links)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file, an empty folder, and links: to a file, to a folder, and outside."""
    root = tmp_path / "root"
    (root / "folder/inner").mkdir(parents=True)
    (root / "folder/file").write_text("inside")
    (root / "empty").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("outside")
    return root


def test_files_come_folder_by_folder_by_name(tmp_path: Path) -> None:
    for name in ["b.txt", "a/2 ü.txt", "a/1.txt", "c/d/e.txt", ".hidden"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == [".hidden", "a/1.txt", "a/2 ü.txt", "b.txt", "c/d/e.txt"]


def test_a_large_folder_is_merged_from_sorted_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NAMES_IN_MEMORY", 7)
    written = [f"{number * 37 % 1000:03d}" + "x" * (number % 50) for number in range(1000)]
    for name in written:
        (tmp_path / name).touch()
    assert names(tmp_path) == sorted(written)


def test_empty_folders_are_given_where_they_are_asked_for(root: Path) -> None:
    found = walk(root, links=Links.INSIDE, empty_folders=True)
    assert [(entry.name, entry.is_folder) for entry in found] == [
        ("empty/", True),
        ("folder/file", False),
        ("folder/inner/", True),
    ]
    assert names(root) == ["folder/file"]


def test_a_link_inside_gives_where_it_lies_and_where_its_content_does(root: Path) -> None:
    (root / "link").symlink_to("folder")
    entry = list(walk(root, links=Links.INSIDE))[-1]
    assert entry.name == "link/file"
    assert (entry.path, entry.real) == (f"{root}/link/file", f"{root.resolve()}/folder/file")


@pytest.mark.parametrize("link", ["link", "folder/link"])
def test_a_link_that_leads_outside_is_skipped_refused_or_followed(root: Path, link: str) -> None:
    (root / link).symlink_to(root.parent / "outside")
    assert names(root, Links.SKIP) == ["folder/file"]
    assert f"{link}/file" in names(root, Links.FOLLOW)
    with pytest.raises(InvalidRequest, match=f"{link} leads outside of"):
        names(root, Links.INSIDE)


def test_what_lies_behind_a_link_to_outside_may_not_lead_back_inside(root: Path) -> None:
    (root.parent / "outside/back").symlink_to(root)
    (root / "link").symlink_to(root.parent / "outside")
    with pytest.raises(InvalidRequest, match="leads around in a circle"):
        names(root, Links.FOLLOW)


@pytest.mark.parametrize(("target", "reason"), [("absent", "to nothing"), ("..", "in a circle")])
@pytest.mark.parametrize("links", [Links.INSIDE, Links.FOLLOW])
def test_a_link_that_leads_nowhere_is_refused_by_name(
    root: Path, target: str, reason: str, links: Links
) -> None:
    (root / "folder/astray").symlink_to(target)
    with pytest.raises(InvalidRequest, match=f"folder/astray leads .*{reason}"):
        names(root, links)


def test_what_is_left_out_is_not_looked_at(root: Path) -> None:
    (root / "nowhere").symlink_to("absent")
    (root / "empty/file").touch()
    asked: list[str] = []

    def leave_out(name: str) -> bool:
        asked.append(name)
        return name in ("nowhere", "folder/")

    found = walk(root, links=Links.INSIDE, leave_out=leave_out)
    assert [entry.name for entry in found] == ["empty/file"]
    assert asked == ["empty/", "empty/file", "folder/", "nowhere"]


def test_a_pipe_is_refused_or_skipped(root: Path) -> None:
    os.mkfifo(root / "pipe")
    found = walk(root, links=Links.INSIDE, special="skip")
    assert [entry.name for entry in found] == ["folder/file"]
    with pytest.raises(InvalidRequest, match="pipe is neither a file nor a folder"):
        names(root)


def test_a_root_may_be_a_file_or_a_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    assert names(root.parent / "link") == ["folder/file"]
    (entry,) = walk(root / "folder/file", links=Links.INSIDE)
    assert (entry.name, entry.path) == ("", str(root / "folder/file"))
