"""``landing:`` of project.yaml: what it means, and what is said of every mistake in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidDocument
from mlops_dagster.project import read_project

SCORE = """\
type: pipeline
inputs:
  drops: {type: uri_folder, path: ./nothing}
  month: "2013-01"
outputs:
  scores: {type: uri_folder}
jobs:
  score:
    type: command
    command: ls ${{inputs.drops}} ${{inputs.month}} > ${{outputs.scores}}/s
    environment: azureml:any@latest
    inputs: {drops: "${{parent.inputs.drops}}", month: "${{parent.inputs.month}}"}
    outputs: {scores: "${{parent.outputs.scores}}"}
"""
WHOLE = """\
name: p
pipelines:
  score: {file: score.yml}
landing:
  pipeline: score
  source: {folder: drops}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "score.yml").write_text(SCORE, encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "project.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_short_declaration_is_enough(folder: Path) -> None:
    landing = read_project(write(folder, WHOLE)).landing
    assert landing is not None
    assert landing.pipeline.name == "score"
    place = landing.places["local"]
    assert (place.drops, place.queue) == ("drops", None)
    assert landing.line == 4


def test_names_of_an_account_become_addresses(folder: Path) -> None:
    source = "source: {container: in, account: acc, queue: events}"
    text = WHOLE.replace("source: {folder: drops}", source)
    landing = read_project(write(folder, text)).landing
    assert landing is not None
    place = landing.places["local"]
    assert place.drops == "https://acc.blob.core.windows.net/in"
    assert place.queue == "https://acc.queue.core.windows.net/events"


def test_sizes_and_spans_are_read_in_words(folder: Path) -> None:
    text = WHOLE + "  batch: {files: 20, bytes: 64 MB, age: 0 seconds}\n  settle: 5 seconds\n"
    landing = read_project(write(folder, text)).landing
    assert landing is not None
    batch = landing.declared.batch
    assert (batch.files, batch.bytes, batch.age) == (20, 64_000_000, timedelta(0))
    assert landing.declared.settle == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        ("pipeline: score", "pipeline: scor", 5, "There is no pipeline 'scor'"),
        ("pipeline: score", "pipeline: score\n  input: files", 6, "has no input 'files'"),
        ("{folder: drops}", "{}", 6, "neither of folder and container"),
        ("{folder: drops}", "{container: in}", 6, "name the storage account"),
        ("{folder: drops}", "{folder: a, queue: q}", 6, "belong to a container"),
        ("drops}", "drops}\n  batch: {bytes: much}", 7, "a size such as '64 MB'"),
        ("drops}", "drops}\n  keep: 5 minutes", 4, "could lose its files"),
        ("drops}", "drops}\n  example: nope.py", 7, "The file 'nope.py' is not there"),
        (
            "drops}",
            "drops}\n  drift: {reference: train.scores/a.parquet, column: c}",
            7,
            "There is no pipeline output 'train.scores'",
        ),
        (
            "{file: score.yml}",
            "{file: score.yml, partitions: {every: day, first: 2013-01}, inputs: {month: {value: '%d'}}}",
            5,
            "'month' is filled from a partition",
        ),
        ("landing:", "jobs: {landing_replay: {pipelines: [score]}}\nlanding:", 4, "is the name of"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    folder: Path, old: str, new: str, line: int, complaint: str
) -> None:
    with pytest.raises(InvalidDocument) as raised:
        read_project(write(folder, WHOLE.replace(old, new, 1)))
    (problem,) = raised.value.problems
    assert complaint in problem.message
    assert problem.line == line


def test_a_pipeline_without_scores_is_refused(folder: Path) -> None:
    (folder / "score.yml").write_text(SCORE.replace("scores", "result"), encoding="utf-8")
    with pytest.raises(InvalidDocument, match="has no output 'scores'"):
        read_project(write(folder, WHOLE))


def test_a_workspace_may_say_where_files_land_in_it(folder: Path) -> None:
    cloud = folder / ".cloud"
    for name in ("local", "dev"):
        (cloud / name).mkdir(parents=True)
    (cloud / "prod").mkdir()
    file = cloud / "prod" / "landing.yml"
    file.write_text("source: {container: in, account: acc}\njournal: https://x/y\n")
    landing = read_project(write(folder, WHOLE)).landing
    assert landing is not None
    found = {name: (place.drops, place.journal) for name, place in landing.places.items()}
    prod = ("https://acc.blob.core.windows.net/in", "https://x/y")
    assert found == {"local": ("drops", None), "dev": ("drops", None), "prod": prod}


def test_a_mistake_in_a_workspaces_landing_is_told_with_its_file_and_line(folder: Path) -> None:
    file = folder / ".cloud" / "dev" / "landing.yml"
    file.parent.mkdir(parents=True)
    file.write_text("# Where files land.\nsource: {container: in}\npattern: x\n")
    with pytest.raises(InvalidDocument) as raised:
        read_project(write(folder, WHOLE))
    found = [(problem.file, problem.line) for problem in raised.value.problems]
    assert found == [(file, 2), (file, 3)]


def test_no_job_of_the_project_can_have_the_name_of_a_landings_job(folder: Path) -> None:
    from mlops_dagster.defs.landing.keys import REPLAY_JOB, SCORING_JOB, UPKEEP_JOB

    for job in (SCORING_JOB, REPLAY_JOB, UPKEEP_JOB):
        declared = f"jobs: {{{job}: {{pipelines: [score]}}}}\nlanding:"
        with pytest.raises(InvalidDocument, match=f"{job!r} is the name of a part of the landing"):
            read_project(write(folder, WHOLE.replace("landing:", declared, 1)))
