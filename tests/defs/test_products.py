"""Data products: where they come from, what they show, and the checks of their rows."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from tests.defs.conftest import Tiny


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def metadata_value(evaluation: dg.AssetCheckEvaluation, label: str) -> Any:
    return evaluation.metadata[label].value


def test_a_product_shows_where_it_lies_and_what_is_in_it(tiny: Tiny) -> None:
    result = tiny.materialize("ingest/write", "numbers")

    assert result.success
    newest = tiny.newest("numbers")
    assert newest["version"] == "azureml:numbers:1"
    assert newest["dagster/row_count"] == 3
    assert "| 2 | 0.25 |" in newest["preview"]
    assert {name: each.passed for name, each in evaluations(result).items()} == {
        "schema": True,
        "rows": True,
        "nulls": True,
    }


def test_the_columns_are_declared_before_anything_is_materialized(tiny: Tiny) -> None:
    graph = tiny.definitions().resolve_asset_graph()

    schema = graph.get(tiny.key("numbers")).metadata["dagster/column_schema"]

    assert isinstance(schema, dg.TableSchema)
    first, second = schema.columns
    assert (first.name, first.type, first.description) == ("id", "int64", "Who.")
    assert first.constraints.unique
    assert second.constraints.nullable
    assert second.constraints.other == ["in_range min_value=0, max_value=1"]


def test_broken_rules_are_named_with_their_rows_and_stop_the_run(tiny: Tiny) -> None:
    tiny.write("rows.csv", "id,value\n1,0.5\n2,1.5\n2,0.25\n3,-4\n")

    result = tiny.materialize("ingest/write", "numbers", "train/fit")

    assert not result.success
    assert tiny.starts() == []
    schema = evaluations(result)["schema"]
    assert not schema.passed
    table = metadata_value(schema, "violations")
    assert "numbers.csv row 1: 1.5; numbers.csv row 3: -4.0" in table
    assert "| id | field_uniqueness | 2 |" in table


def test_a_missing_column_is_a_broken_rule(tiny: Tiny) -> None:
    tiny.write("rows.csv", "id\n1\n2\n")

    checks = evaluations(tiny.materialize("ingest/write", "numbers"))

    assert "'value'" in metadata_value(checks["schema"], "violations")
    assert "no such column" in metadata_value(checks["nulls"], "nulls")


def test_too_few_rows_stop_the_run_and_too_many_nulls_are_told(tiny: Tiny) -> None:
    tiny.write("rows.csv", "id,value\n1,\n")

    result = tiny.materialize("ingest/write", "numbers", "train/fit")

    checks = evaluations(result)
    assert (checks["rows"].passed, metadata_value(checks["rows"], "rows")) == (False, 1)
    assert "| value | 100.00% | 40.00% | no |" in metadata_value(checks["nulls"], "nulls")
    assert tiny.starts() == []


@pytest.mark.parametrize("name", ["numbers", "others"])
def test_data_that_somebody_else_provides_is_a_product_too(tiny: Tiny, name: str) -> None:
    tiny.write("data/given.yml", f"name: {name}\ntype: uri_file\npath: ../rows.csv\n")
    tiny.write("project.yaml", "name: tiny\ndata_products: {given: {data: data/given.yml}}\n")

    assert tiny.materialize("given").success

    newest = tiny.newest("given")
    assert newest["version"] == f"azureml:{name}:1"
    assert newest["dagster/row_count"] == 3


def test_provided_data_that_is_missing_is_said_by_name(tiny: Tiny) -> None:
    tiny.write("data/given.yml", "name: given\ntype: uri_file\npath: ../rows.csv\n")
    tiny.write("project.yaml", "name: tiny\ndata_products: {given: {data: data/given.yml}}\n")
    (tiny.folder / "rows.csv").unlink()

    result = tiny.materialize("given")

    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    assert "rows.csv" in error.message
    assert (error.cause, error.context) == (None, None)
