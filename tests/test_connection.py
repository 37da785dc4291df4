"""The door from a notebook: what docs/python.md shows works as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster import connect
from mlops_dagster.errors import InvalidRequest, NotFound

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    if not block.startswith("# definitions.py")
]
SUM = """\
type: command
environment: {image: 'python:3.11'}
compute: azureml:small
command: awk '{s += $1} END {print s * ${{inputs.factor}}}' ${{inputs.numbers}} | tee ${{outputs.total}}
inputs:
  factor: 1
  numbers: {type: uri_file, path: azureml:numbers:1}
outputs: {total: {type: uri_file}}
"""


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebooks of a project that has data, a pipeline and one compute target."""
    project = tmp_path / "project"
    folder = project / "notebooks" / "me"
    folder.mkdir(parents=True)
    (project / "project.yaml").write_text("name: p\n")
    (project / ".cloud/local/compute").mkdir(parents=True)
    (project / ".cloud/local/compute/small.yml").write_text("name: small\ntype: amlcompute\n")
    (project / "notebooks" / "pipelines").mkdir()
    (project / "notebooks" / "pipelines" / "sum.yml").write_text(SUM)
    (project / "numbers.txt").write_text("1\n2\n3\n")
    monkeypatch.chdir(folder)
    with connect() as workspace:
        workspace.data.register("numbers", str(project / "numbers.txt"), type="uri_file")
    return folder


def test_the_pages_code_runs_in_a_projects_notebook(notebooks: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(BLOCKS)],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    assert printed[0].startswith("azureml:numbers:1 ")
    assert "6" in printed
    assert "60" in printed
    assert any(line.startswith("Completed azureml://datastores/") for line in printed)


def test_connect_finds_the_project_around_the_current_directory(
    notebooks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with connect() as workspace:
        assert [target.name for target in workspace.compute.list()] == ["small"]
    monkeypatch.chdir(tmp_path)
    with connect() as workspace:
        assert [target.name for target in workspace.compute.list()] == ["local"]
    with connect(project="project") as workspace:
        assert [target.name for target in workspace.compute.list()] == ["small"]
    with pytest.raises(NotFound, match=r"holds a project\.yaml"):
        connect(project="elsewhere")


@pytest.mark.parametrize("given", [{"command": "date"}, None, 3], ids=json.dumps)
def test_what_is_no_job_is_told_with_what_to_write(notebooks: Path, given: object) -> None:
    with connect() as workspace:
        with pytest.raises(InvalidRequest, match=r'jobs\.submit\("train\.yml"\)'):
            workspace.jobs.submit(given)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match=r"schedules\.create"):
            workspace.schedules.create(given)  # type: ignore[arg-type]


def test_a_version_is_named_as_in_yaml_or_by_two_arguments(notebooks: Path) -> None:
    with connect() as workspace:
        found = workspace.data.get("numbers", "1")
        for name in ("numbers:1", "azureml:numbers:1", "numbers@latest", "numbers"):
            assert workspace.data.get(name) == found
        for name, version in (("numbers:1", "1"), ("numbers@production", None)):
            with pytest.raises(InvalidRequest):
                workspace.data.get(name, version)
        with pytest.raises(NotFound, match="numbers:2"):
            workspace.data.get("numbers:2")
