"""Links to code: where a repository can be read in a browser, and a local editor elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.defs.code_links import code_references, find_repository, repository_page


def link(folder: Path, path: Path, line: int) -> str:
    """Where the link of a place leads: an address, or a local file and its line."""
    find_repository.cache_clear()
    value = code_references(folder, [(path, line, "step")])["dagster/code_references"]
    (found,) = value.code_references
    if isinstance(found, dg.UrlCodeReference):
        return found.url
    assert isinstance(found, dg.LocalFileCodeReference)
    return f"{found.file_path}:{found.line_number}"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-b", "main", ".")
    (tmp_path / "projects" / "tiny").mkdir(parents=True)
    (tmp_path / "projects" / "tiny" / "train.yml").write_text("type: pipeline\n")
    return tmp_path


def test_without_a_remote_a_link_opens_the_local_editor(checkout: Path) -> None:
    file = checkout / "projects" / "tiny" / "train.yml"
    assert link(file.parent, file, 3) == f"{file}:3"


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        (
            "https://github.com/org/repo.git",
            "https://github.com/org/repo/blob/main/projects/tiny/train.yml#L3",
        ),
        (
            "git@gitlab.com:org/group/repo.git",
            "https://gitlab.com/org/group/repo/-/blob/main/projects/tiny/train.yml#L3",
        ),
        (
            "https://someone:secret@dev.azure.com/org/project/_git/repo",
            (
                "https://dev.azure.com/org/project/_git/repo?path=/projects/tiny/train.yml"
                "&version=GBmain&line=3&lineEnd=4&lineStartColumn=1&lineEndColumn=1"
            ),
        ),
    ],
)
def test_with_a_remote_a_link_leads_to_its_page(checkout: Path, remote: str, page: str) -> None:
    git(checkout, "remote", "add", "origin", remote)
    file = checkout / "projects" / "tiny" / "train.yml"
    assert link(file.parent, file, 3) == page


def test_a_link_without_a_repository_at_hand_is_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CODE_URL", "https://github.com/org/repo@v1")
    (tmp_path / "code").mkdir()
    page = "https://github.com/org/repo/tree/v1/code"
    assert link(tmp_path, tmp_path / "code", 0) == page


def test_a_remote_that_no_browser_can_read_has_no_page() -> None:
    assert repository_page("/srv/git/repo.git") is None
    assert repository_page("ssh://git@backup.example/repo.git") is None
    assert (
        repository_page("git@ssh.dev.azure.com:v3/org/project/repo")
        == "https://dev.azure.com/org/project/_git/repo"
    )
