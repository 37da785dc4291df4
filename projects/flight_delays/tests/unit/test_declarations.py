"""The YAML of the project, as its readers see it."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml


def components(project: Path) -> list[Path]:
    return sorted(project.glob("code/*/component.yml"))


def test_there_are_six_steps_each_with_its_own_environment(project: Path) -> None:
    steps = [path.parent.name for path in components(project)]
    assert steps == [
        *("evaluation", "ingestion", "preprocessing", "registration", "scoring", "training"),
    ]
    assert all((path.parent / "conda.yml").is_file() for path in components(project))


def test_no_step_is_a_package_that_would_hide_the_standard_library(project: Path) -> None:
    assert not list((project / "code").rglob("__init__.py"))


def test_every_input_and_output_of_a_step_is_used_and_declared(project: Path) -> None:
    for path in components(project):
        component = yaml.safe_load(path.read_text())
        text = component.get("command") or component["task"]["program_arguments"]
        text += component.get("input_data", "")
        for kind in ("inputs", "outputs"):
            used = {name for of, name in re.findall(r"\$\{\{(\w+)\.(\w+)\}\}", text) if of == kind}
            assert used == set(component[kind]), f"{kind} of {path}"


def test_the_three_environments_offer_the_same_compute_targets(project: Path) -> None:
    targets = {
        place: sorted(
            yaml.safe_load(path.read_text())["name"]
            for path in (project / ".cloud" / place / "compute").glob("*.yml")
        )
        for place in ("local", "dev", "prod")
    }
    assert set(map(tuple, targets.values())) == {("cpu-cluster",)}


def test_every_month_that_can_be_scored_is_among_the_flights(project: Path) -> None:
    declared = yaml.safe_load((project / "project.yaml").read_text())
    ingested = yaml.safe_load((project / "pipelines" / "ingest.yml").read_text())
    last = declared["pipelines"]["score"]["partitions"]["last"]
    assert str(last) <= ingested["inputs"]["through"]


@pytest.mark.slow
def test_the_official_loader_takes_every_file_as_it_is(project: Path) -> None:
    ml = pytest.importorskip("azure.ai.ml")
    for path in sorted(project.glob(".cloud/*/compute/*.yml")):
        assert ml.load_compute(path).type == "amlcompute"
    for path in components(project):
        assert not ml.load_component(path)._validate().error_messages
    for path in sorted(project.glob("pipelines/*.yml")):
        assert not ml.load_job(path)._validate().error_messages


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flights", "weather", "planes", "airports"])
def test_a_table_of_the_package_satisfies_its_schema_but_not_with_a_row_twice(
    project: Path, step: Callable[[str, str], ModuleType], name: str
) -> None:
    from pandera.errors import SchemaErrors
    from pandera.pandas import DataFrameSchema

    ingest = step("ingestion", "ingest")
    file = "flights.csv.zip" if name == "flights" else f"{name}.csv"
    table = ingest.read_table(ingest.package_tables() / file)
    if name == "weather":
        table = ingest.without_impossible_wind(table)
    schema = DataFrameSchema.from_yaml(project / "schemas" / f"{name}.yml")
    assert set(schema.columns) == set(table.columns)
    schema.validate(table, lazy=True)
    with pytest.raises(SchemaErrors):
        schema.validate(pd.concat([table, table.head(1)], ignore_index=True), lazy=True)
