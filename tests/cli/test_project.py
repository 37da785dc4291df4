"""`mlops project`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops_dagster.project.json_schema import project_schema

from .conftest import Mlops


def test_the_schema_is_printed_or_written_with_the_line_that_names_it(
    mlops: Mlops, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(mlops("project", "schema").out) == project_schema()
    project = here / "projects" / "p"
    project.mkdir(parents=True)
    (project / "project.yaml").write_text("name: p\n")
    monkeypatch.chdir(project)
    ran = mlops("project", "schema", "--file", here / "made" / "s.json")
    assert (ran.status, ran.out) == (0, f"{here}/made/s.json\n")
    assert "# yaml-language-server: $schema=../../made/s.json" in ran.err.splitlines()
    assert json.loads((here / "made" / "s.json").read_text()) == project_schema()


def test_a_schema_that_cannot_be_written_is_told(mlops: Mlops, here: Path) -> None:
    (here / "file").write_text("")
    ran = mlops("project", "schema", "--file", here / "file" / "s.json")
    assert (ran.status, ran.out) == (1, "")
    assert "cannot be written" in ran.err
