"""Code snapshots: what a job is given of its code folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest, NotFound
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.storage.snapshots import SCHEMA, Snapshots


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    state = State(tmp_path / "home")
    state.create(SCHEMA)
    return Snapshots(state)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with what people have in theirs."""
    folder = tmp_path / "code"
    for name in (
        "main.py",
        "notes.md",
        "data/big.csv",
        "data/keep.csv",
        "lib/__pycache__/x.pyc",
        "lib/util.py",
        ".git/HEAD",
        ".mlops/state.db",
        ".venv/bin/python",
        ".hidden",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def unpacked(snapshots: Snapshots, digest: str, to: Path) -> set[str]:
    snapshots.unpack(digest, to)
    return {path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file()}


ALL = {
    "main.py",
    "notes.md",
    "data/big.csv",
    "data/keep.csv",
    "lib/util.py",
    ".venv/bin/python",
    ".hidden",
}


def test_a_snapshot_holds_everything_but_git_caches_and_our_own_state(
    snapshots: Snapshots, code: Path, tmp_path: Path
) -> None:
    assert unpacked(snapshots, snapshots.take(code), tmp_path / "to") == ALL


def test_gitignore_is_honoured(snapshots: Snapshots, code: Path, tmp_path: Path) -> None:
    (code / ".gitignore").write_text("*.csv\n!keep.csv\n.venv/\n")
    expected = ALL - {"data/big.csv", ".venv/bin/python"} | {".gitignore"}
    assert unpacked(snapshots, snapshots.take(code), tmp_path / "to") == expected


def test_amlignore_takes_the_place_of_gitignore(
    snapshots: Snapshots, code: Path, tmp_path: Path
) -> None:
    (code / ".gitignore").write_text("*.csv\n")
    (code / ".amlignore").write_text("*.md\n.*\n")
    expected = {"main.py", "data/big.csv", "data/keep.csv", "lib/util.py"}
    assert unpacked(snapshots, snapshots.take(code), tmp_path / "to") == expected


def test_equal_content_has_one_snapshot_wherever_it_lies(
    snapshots: Snapshots, code: Path, tmp_path: Path
) -> None:
    first = snapshots.take(code)
    code.rename(tmp_path / "moved")
    assert snapshots.take(tmp_path / "moved") == first
    (tmp_path / "moved/main.py").write_text("main.py, changed")
    assert snapshots.take(tmp_path / "moved") != first


def test_a_script_stays_executable_and_both_kinds_differ(
    snapshots: Snapshots, code: Path, tmp_path: Path
) -> None:
    plain = snapshots.take(code)
    (code / "main.py").chmod(0o755)
    executable = snapshots.take(code)
    assert executable != plain
    snapshots.unpack(executable, tmp_path / "to")
    assert (tmp_path / "to/main.py").stat().st_mode & 0o100


def test_a_snapshot_of_one_file_holds_that_file(
    snapshots: Snapshots, code: Path, tmp_path: Path
) -> None:
    assert unpacked(snapshots, snapshots.take(code / "main.py"), tmp_path / "to") == {"main.py"}


def test_further_includes_are_laid_beside_the_code(
    snapshots: Snapshots, code: Path, tmp_path: Path
) -> None:
    digest = snapshots.take(code / "main.py", [code / "lib", code / "notes.md"])
    expected = {"main.py", "lib/util.py", "notes.md"}
    assert unpacked(snapshots, digest, tmp_path / "to") == expected


def test_a_link_becomes_what_it_points_to(snapshots: Snapshots, code: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/common.py").write_text("shared")
    (code / "shared").symlink_to(tmp_path / "shared")
    snapshots.unpack(snapshots.take(code), tmp_path / "to")
    assert (tmp_path / "to/shared/common.py").read_text() == "shared"
    assert not (tmp_path / "to/shared").is_symlink()


@pytest.mark.parametrize(("target", "said"), [("nowhere", "nothing"), (".", "circle")])
def test_a_link_that_leads_nowhere_is_refused_by_name(
    snapshots: Snapshots, code: Path, target: str, said: str
) -> None:
    (code / "link").symlink_to(target)
    with pytest.raises(InvalidRequest, match=rf"link.*{said}"):
        snapshots.take(code)


def test_code_that_does_not_exist_is_not_found(snapshots: Snapshots, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        snapshots.take(tmp_path / "nowhere")
