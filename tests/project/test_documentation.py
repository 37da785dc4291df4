"""docs/project-yaml.md names every field that project.yaml has, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mlops_dagster.project.project_yaml import (
    DataProductDeclaration,
    JobDeclaration,
    ModelDeclaration,
    PipelineDeclaration,
    ProjectDeclaration,
)

PAGE = Path(__file__).parents[2] / "docs" / "project-yaml.md"
SECTIONS: dict[str, type[BaseModel]] = {
    "project": ProjectDeclaration,
    "data_products": DataProductDeclaration,
    "pipelines": PipelineDeclaration,
    "models": ModelDeclaration,
    "jobs": JobDeclaration,
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_lists_the_fields_that_there_are(section: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    part = re.split(r"^## ", text, flags=re.MULTILINE)
    (own,) = [body for body in part if body.startswith(f"{section}\n")]
    cells = [line.split("|")[1] for line in own.splitlines() if line.startswith("| `")]
    listed = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    fields = SECTIONS[section].model_fields.items()
    assert listed == {field.alias or name for name, field in fields}
