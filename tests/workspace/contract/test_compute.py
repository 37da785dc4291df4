"""Compute targets: what a project declares, and nothing else inside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidDocument, NotFound
from mlops_dagster.workspace import Workspace, connect

CLUSTER = "type: amlcompute\nname: cpu-cluster\nsize: STANDARD_DS3_V2\nmax_instances: 3\n"


@pytest.fixture
def project(tmp_path: Path, workspace: Workspace) -> Path:
    folder = tmp_path / "project" / ".cloud" / workspace.name / "compute"
    folder.mkdir(parents=True)
    (folder / "cluster.yml").write_text(CLUSTER)
    return tmp_path / "project"


def test_with_no_project_every_name_stands_for_this_machine(workspace: Workspace) -> None:
    for name in ("gpu-cluster", "serverless"):
        target = workspace.compute.get(name)
        assert (target.name, target.max_instances) == (name, os.cpu_count())
        assert target.source is None


def test_a_project_declares_its_targets(workspace: Workspace, project: Path) -> None:
    compute = connect(workspace.name, project=project).compute
    target = compute.get("cpu-cluster")
    assert compute.list() == [target]
    assert (target.type, target.max_instances, target.size) == ("amlcompute", 3, "STANDARD_DS3_V2")
    assert (target.busy, target.queued) == (0, 0)
    assert target.source is not None
    assert target.source.name == "cluster.yml"


def test_a_name_that_the_project_does_not_declare_is_not_found(
    workspace: Workspace, project: Path
) -> None:
    with pytest.raises(NotFound, match=r"(?s)Did you mean 'cpu-cluster'\?.*compute/NAME\.yml"):
        connect(workspace.name, project=project).compute.get("cpu-clusters")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type: amlcompute\n", "c.yml:1: name"),
        ("type: amlcomputer\nname: c\n", "Did you mean 'amlcompute'"),
        ("type: amlcompute\nname: c\nmax_instances: many\n", "c.yml:3: max_instances"),
        ("type: amlcompute\nname: cpu-cluster\n", "is taken by"),
        ("type: [\n", "not valid YAML"),
    ],
)
def test_a_wrong_declaration_is_told_with_its_place(
    workspace: Workspace, project: Path, text: str, said: str
) -> None:
    (project / ".cloud" / workspace.name / "compute" / "c.yml").write_text(text)
    with pytest.raises(InvalidDocument) as caught:
        connect(workspace.name, project=project).compute.get("cpu-cluster")
    assert said in str(caught.value)
    assert ".yml" in str(caught.value)


def test_a_target_has_the_nodes_that_its_type_gives_it_where_the_file_does_not_say(
    workspace: Workspace, project: Path
) -> None:
    folder = project / ".cloud" / workspace.name / "compute"
    (folder / "cluster.yml").write_text("type: amlcompute\nname: cluster\n")
    (folder / "desk.yml").write_text("type: computeinstance\nname: desk\n")
    compute = connect(workspace.name, project=project).compute
    assert [target.max_instances for target in compute.list()] == [4, 1]
