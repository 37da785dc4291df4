"""`mlops landing`: what became of the files that landed."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from mlops_dagster.landing import score_batch, tick
from mlops_dagster.workspace import Workspace
from tests.cli.conftest import Mlops
from tests.defs.dropping import PROJECT, Dropping
from tests.landing.place import SCORING, InlineWorkspace, Score, score_files

NOW = (
    PROJECT.replace("age: 1 second", "age: 0 seconds") + "  attempts: 1\n  retry_delay: 0 seconds\n"
)


@pytest.fixture
def place(tmp_path: Path, mlops_home: Path, monkeypatch: pytest.MonkeyPatch) -> Dropping:
    made = Dropping.make(tmp_path, mlops_home, project=NOW)
    (tmp_path / "jobs").mkdir()
    monkeypatch.chdir(made.folder)
    return made


def score(place: Dropping, tmp_path: Path, how: Score = score_files) -> None:
    workspace = cast(Workspace, InlineWorkspace(tmp_path / "jobs", how))
    for record in tick(place.landing).requests:
        score_batch(place.landing, record.batch.id, workspace=workspace, scoring=SCORING)


def choke(drops: Path, scores: Path, rejected: Path) -> None:
    raise RuntimeError("the model choked")


def test_status_counts_drops_and_rows(place: Dropping, mlops: Mlops, tmp_path: Path) -> None:
    place.drop("a.csv", [1, 2, "x"])
    place.drop_text("torn.parquet", "PAR1 torn")
    score(place, tmp_path)
    found = mlops("landing", "status", "--project", place.folder, "-o", "json").json()
    assert found["drops"] == {"scored": 1, "quarantined": 1}
    assert (found["rows"], found["scored"], found["quarantined"]) == (3, 2, 1)
    assert found["given_up"] == []
    told = mlops("landing", "status", "--project", place.folder)
    assert "1 quarantined, 1 scored" in told.out


def test_status_tells_loudly_of_a_batch_that_was_given_up(
    place: Dropping, mlops: Mlops, tmp_path: Path
) -> None:
    place.drop("a.csv", [1])
    score(place, tmp_path, choke)
    told = mlops("landing", "status", "--project", place.folder)
    assert "was given up after 1 attempts" in told.err
    assert "the model choked" in told.err


def test_list_shows_each_drop_with_its_reason(
    place: Dropping, mlops: Mlops, tmp_path: Path
) -> None:
    place.drop("a.csv", [1])
    place.drop_text("empty.csv", "")
    score(place, tmp_path)
    found = mlops("landing", "list", "--project", place.folder, "-o", "json").json()
    assert {each["path"]: each["reason"] for each in found} == {
        "a.csv": None,
        "empty.csv": "empty: it has no bytes",
    }
    only = mlops("landing", "list", "--project", place.folder, "--state", "quarantined")
    assert "empty.csv" in only.out
    assert "a.csv " not in only.out


def test_a_quarantined_drop_is_replayed_by_its_path_and_a_scored_one_is_not(
    place: Dropping, mlops: Mlops, tmp_path: Path
) -> None:
    place.drop("a.csv", [1])
    place.drop("bad.csv", ["x"])
    score(place, tmp_path)
    assert "waits" in mlops("landing", "replay", "bad.csv", "--project", place.folder).out
    refused = mlops("landing", "replay", "a.csv", "--project", place.folder)
    assert refused.status == 2
    assert "is scored" in refused.err


def test_all_drops_that_were_given_up_are_replayed_at_once(
    place: Dropping, mlops: Mlops, tmp_path: Path
) -> None:
    place.drop("a.csv", [1])
    place.drop("b.csv", [1])
    for _ in range(2):
        score(place, tmp_path, choke)
    assert place.status().drops == {"failed": 2}
    offered = mlops("landing", "replay", "--failed", "--project", place.folder, "-o", "json").json()
    assert {each["path"] for each in offered} == {"a.csv", "b.csv"}
    score(place, tmp_path)
    assert place.status().drops == {"scored": 2}
    nothing = mlops("landing", "replay", "--failed", "--project", place.folder)
    assert (nothing.status, nothing.err.strip()) == (0, "No drop was given up.")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (("replay",), "Found no drop to offer again"),
        (("replay", "a.csv", "--failed"), "Found both a drop and --failed"),
        (("replay", "nope"), "There is no drop 'nope'"),
        (("list", "--state", "lost"), "There is no state 'lost'"),
    ],
)
def test_what_does_not_exist_is_named(
    place: Dropping, mlops: Mlops, command: tuple[str, ...], complaint: str
) -> None:
    ran = mlops("landing", *command, "--project", place.folder)
    assert ran.status == 2
    assert complaint in ran.err


def test_a_project_without_a_landing_is_told_so(place: Dropping, mlops: Mlops) -> None:
    text = NOW.partition("landing:")[0]
    (place.folder / "project.yaml").write_text(text, encoding="utf-8")
    ran = mlops("landing", "status", "--project", place.folder)
    assert ran.status == 2
    assert "There is no landing 'dropping'" in ran.err
