"""The JSON schema of project.yaml takes what `read_project` takes, and says what fields mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mlops_dagster.aml.document import Document, parse_model
from mlops_dagster.errors import InvalidDocument
from mlops_dagster.project.json_schema import project_schema
from mlops_dagster.project.project_yaml import ProjectDeclaration

ROOT = Path(__file__).parents[2]
SCHEMA = project_schema()
LANDING = "pipeline: p, source: {folder: drops}"


def by_schema(text: str) -> bool:
    """Whether the schema takes a document, as an editor's YAML reads it: dates are text there."""
    return not list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(_as_editor(text)))


def by_reading(text: str) -> bool:
    try:
        parse_model(
            ProjectDeclaration, Document(Path("project.yaml"), {}, {}), yaml.safe_load(text)
        )
    except InvalidDocument:
        return False
    return True


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", sorted((ROOT / "projects").glob("*/project.yaml")), ids=str)
def test_the_projects_of_this_repository_fit_it(file: Path) -> None:
    assert by_schema(file.read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("name: p", True),
        ("name: 1p", False),
        ("{}", False),
        ("{name: p, nane: q}", False),
        ("{name: p, owners: [a@b.example, 'team:x']}", True),
        ("{name: p, owners: [someone]}", False),
        ("{name: p, data_products: {a-b: {rows: {at_least: 3}, fresh_within: 31 days}}}", True),
        ("{name: p, data_products: {a: {rows: {at_least: -3}}}}", False),
        ("{name: p, data_products: {a: {fresh_within: 31 moons}}}", False),
        ("{name: p, data_products: {a: {from: x.y, schema: s.yml, nulls: {c: 0.5}}}}", True),
        ("{name: p, data_products: {a: {nulls: {c: 1.5}}}}", False),
        ("{name: p, pipelines: {a: {file: f, inputs: {x: y, z: {value: 1}}}}}", True),
        ("{name: p, pipelines: {a: {file: f, inputs: {x: {valve: 1}}}}}", False),
        ("{name: p, pipelines: {a: {partitions: {every: month, first: 2013-09}, file: f}}}", True),
        ("{name: p, pipelines: {a: {partitions: {every: day, first: 2013-09-01}, file: f}}}", True),
        ("{name: p, pipelines: {a: {partitions: {every: year, first: 2013-09}, file: f}}}", False),
        ("{name: p, models: {m: {metric: auc, at_least: 0.5}}}", True),
        ("{name: p, models: {m: {at_least: 0.5}}}", False),
        ("{name: p, jobs: {j: {pipelines: [a], cron: '0 6 * * *', timezone: Europe/Oslo}}}", True),
        ("{name: p, jobs: {j: {pipelines: []}}}", False),
        ("{name: p, jobs: {j: {pipelines: [a], cron: daily}}}", False),
        (f"{{name: p, landing: {{{LANDING}, settle: 0 seconds, batch: {{bytes: 64 MB}}}}}}", True),
        (f"{{name: p, landing: {{{LANDING}, batch: {{bytes: 64 sheep}}}}}}", False),
        (f"{{name: p, landing: {{{LANDING}, drift: {{reference: a.b/c, column: d}}}}}}", True),
        (f"{{name: p, landing: {{{LANDING}, drift: {{reference: abc, column: d}}}}}}", False),
    ],
)
def test_the_schema_takes_what_reading_takes(text: str, fits: bool) -> None:
    assert (by_schema(text), by_reading(text)) == (fits, fits)


def test_every_default_that_an_editor_would_write_fits_its_own_field() -> None:
    for part in [SCHEMA, *SCHEMA["$defs"].values()]:
        for name, field in _properties(part).items():
            if "default" in field:
                validator = jsonschema.Draft202012Validator({**field, "$defs": SCHEMA["$defs"]})
                assert not list(validator.iter_errors(field["default"])), name


def test_fields_say_what_they_mean() -> None:
    model = SCHEMA["$defs"]["ModelDeclaration"]
    assert model["properties"]["metric"]["description"] == "the MLflow metric that decides."
    assert "description" in model
    text = json.dumps(SCHEMA)
    assert "``" not in text
    assert "None" not in text


def _properties(part: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in part:
        return {name: f for each in part["anyOf"] for name, f in _properties(each).items()}
    return dict(part.get("properties", {}))


def _as_editor(text: str) -> Any:
    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            first: [(tag, regex) for tag, regex in found if tag != "tag:yaml.org,2002:timestamp"]
            for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return yaml.load(text, Loader)
