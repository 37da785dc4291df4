"""Where the state lies, and whose it is."""

from __future__ import annotations

from pathlib import Path

from mlops_dagster.home import make_home


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_a_new_state_folder_is_its_owners_alone(tmp_path: Path) -> None:
    make_home(tmp_path / "new/.mlops")
    assert mode(tmp_path / "new/.mlops") == 0o700
    make_home(tmp_path / "chosen")
    assert mode(tmp_path / "chosen") == 0o700


def test_one_of_an_earlier_version_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / ".mlops").mkdir(mode=0o755)
    make_home(tmp_path / ".mlops")
    assert mode(tmp_path / ".mlops") == 0o700


def test_a_folder_that_somebody_made_for_it_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o770)
    make_home(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o770
