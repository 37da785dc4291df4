"""Outside of a project, as in a repository's root, the projects of workspace.yaml are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.home import find_projects
from mlops_dagster.workspace import connect

from .conftest import Mlops

SCORING = """\
type: pipeline
inputs:
  drops: {type: uri_folder, path: ./seed}
outputs:
  scores: {type: uri_folder}
jobs:
  score:
    type: command
    environment: {image: i}
    compute: azureml:NAME-cluster
    command: cp -r ${{inputs.drops}} ${{outputs.scores}}
    inputs: {drops: '${{parent.inputs.drops}}'}
    outputs: {scores: '${{parent.outputs.scores}}'}
"""
WRONG = "type: command\ncommand: date\ncomand: date\nenvironment: azureml:any@latest\n"
TRAINING = """\
type: pipeline
jobs:
  fit:
    type: command
    environment: {image: i}
    compute: azureml:one-cluster
    command: echo w > ${{outputs.model}}
    outputs: {model: {type: custom_model, name: mine}}
"""


@pytest.fixture
def root(here: Path) -> Path:
    """A repository of two projects with a landing each, and one that workspace.yaml leaves out."""
    for name in ("one", "two", "unlisted"):
        project = here / "projects" / name
        (project / ".cloud/local/compute").mkdir(parents=True)
        (project / "tests").mkdir()
        (project / "seed").mkdir()
        (project / "project.yaml").write_text(
            f"name: {name}\n"
            "pipelines: {score: {file: score.yml}}\n"
            f"landing: {{pipeline: score, source: {{folder: drops/{name}}}}}\n"
        )
        (project / "score.yml").write_text(SCORING.replace("NAME", name))
        (project / f".cloud/local/compute/{name}-cluster.yml").write_text(
            f"name: {name}-cluster\ntype: amlcompute\n"
        )
        (project / "tests" / "wrong.yml").write_text(WRONG)
        (project / "definitions.py").write_text("")
    (here / "workspace.yaml").write_text(
        "load_from:\n"
        "  - python_file: {relative_path: projects/one/definitions.py}\n"
        "  - python_file: projects/two/definitions.py\n"
        "  - python_file: {relative_path: projects/gone/definitions.py}\n"
        "  - python_module: {module_name: elsewhere}\n"
    )
    return here


def test_the_projects_are_those_that_workspace_yaml_lists(root: Path) -> None:
    assert find_projects() == [root / "projects" / "one", root / "projects" / "two"]
    assert find_projects(root / "projects") == find_projects()
    assert find_projects(root / "projects" / "unlisted" / "tests") == [
        root / "projects" / "unlisted"
    ]
    (root / "workspace.yaml").write_text("load_from: [")
    assert find_projects() == []


def test_compute_targets_of_every_project_are_listed_and_found(mlops: Mlops, root: Path) -> None:
    listed = mlops("compute", "list", "-o", "json").json()
    assert [target["name"] for target in listed] == ["one-cluster", "two-cluster"]
    table = mlops("compute", "list").out.splitlines()
    assert table[0].split()[-1] == "project"
    assert [line.split()[-1] for line in table[1:]] == ["one", "two"]
    assert mlops("compute", "show", "two-cluster").status == 0
    unknown = mlops("compute", "show", "two-clutser")
    assert (unknown.status, "two-cluster" in unknown.err) == (2, True)


def test_the_landings_of_every_project_have_a_status(
    mlops: Mlops, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mlops("landing", "status", "-o", "json").json()
    assert [each["project"] for each in found] == ["one", "two"]
    assert mlops("landing", "list", "-o", "json").json() == []
    monkeypatch.chdir(root / "projects" / "two")
    assert mlops("landing", "status", "-o", "json").json()["project"] == "two"


def test_check_looks_at_the_projects_and_leaves_the_fixtures_of_tests_alone(
    mlops: Mlops, root: Path
) -> None:
    (root / "stray.yml").write_text(WRONG)
    ran = mlops("check")
    assert (ran.status, ran.out) == (0, "")
    assert "6 files checked" in ran.err
    (root / "projects" / "two" / "broken.yml").write_text(WRONG)
    ran = mlops("check")
    assert ran.status == 2
    assert "projects/two/broken.yml:3: comand" in ran.out
    named = mlops("check", "projects/one/tests")
    assert (named.status, "wrong.yml:3" in named.out) == (2, True)


def test_model_list_shows_the_champion_and_its_metric(mlops: Mlops, root: Path) -> None:
    project = root / "projects" / "one"
    (project / "train.yml").write_text(TRAINING)
    file = project / "project.yaml"
    file.write_text(
        file.read_text().replace(
            "{score: {file: score.yml}}", "{score: {file: score.yml}, train: {file: train.yml}}"
        )
        + "models: {mine: {metric: auc}}\n"
    )
    (root / "w.txt").write_text("w")
    with connect("local") as workspace:
        for version, auc in enumerate(("0.71", "0.5"), 1):
            workspace.models.register(
                "mine", root / "w.txt", type="custom_model", version=str(version)
            )
            tags: dict[str, str | None] = {"metric.auc": auc, "metric.loss": "3"}
            workspace.models.tag("mine", str(version), tags)
        workspace.models.tag("mine", "1", {"champion_since": "2024-05-06T07:08:09+00:00"})
    table = mlops("model", "list").out.splitlines()
    assert table[0].split()[:4] == ["name", "version", "metric", "champion"]
    assert table[1].split()[:7] == ["mine", "2", "auc", "0.5", "1", "(auc", "0.71)"]
    every = mlops("model", "list", "--name", "mine").out.splitlines()
    assert every[2].split()[:5] == ["mine", "1", "auc", "0.71", "yes"]
    shown = mlops("model", "show", "mine").out
    assert "no; it is 1" in shown
    assert "metric.loss" not in shown
