"""What is printed for programs is data, in the forms of `az`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from mlops_dagster.cli.formats import Format, parse_query, print_data, query_result
from mlops_dagster.errors import InvalidRequest


class State(StrEnum):
    DONE = "Done"


@dataclass(frozen=True)
class Inner:
    at: datetime
    where: Path


@dataclass(frozen=True)
class Outer:
    state: State
    inner: Inner
    metrics: MappingProxyType[str, float]
    items: tuple[Inner, ...] = ()
    missing: str | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def derived(self) -> int:
        return 1


def test_json_has_exactly_the_fields_of_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    inner = Inner(datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), Path("/a/b"))
    metrics = MappingProxyType({"auc": 0.7, "loss": float("nan"), "gap": float("-inf")})
    print_data(Outer(State.DONE, inner, metrics, (inner,), notes={"k": "é\x1b"}), Format.JSON)
    shown = {"at": "2024-05-06T07:08:09+00:00", "where": "/a/b"}
    assert json.loads(capsys.readouterr().out) == {
        "state": "Done",
        "inner": shown,
        "metrics": {"auc": 0.7, "loss": "NaN", "gap": "-Infinity"},
        "items": [shown],
        "missing": None,
        "notes": {"k": "é\x1b"},
    }


def test_json_keeps_control_characters_and_broken_names_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_data({"name": "\x1b[31m\u202e\udcff"}, Format.JSON)
    assert "\\u001b[31m\\u202e\\udcff" in capsys.readouterr().out


# As az prints them: checked against knack 0.12, the library of its output.
@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ([{"a": 1, "b": None, "c": {"x": 1}, "d": [1, 2], "e": True}], "1\tNone\t\t2\tTrue\n"),
        ("x", "x\n"),
        (None, ""),
        ([None, "y"], "None\ny\n"),
        ([["a", None], ["b", 2]], "a\tNone\nb\t2\n"),
        ({"a": 1, "b": [1]}, "1\t1\n"),
        (True, "true\n"),
        ([], ""),
    ],
    ids=repr,
)
def test_tab_separated_values_are_those_of_az(
    value: Any, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_data(value, Format.TSV)
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("form", [Format.YAML, Format.YAMLC, Format.JSON, Format.JSONC])
def test_every_form_that_can_be_read_back_says_the_same(
    form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    value = {"z": "1.10", "a": [1, None, {"b": True}], "long": "word " * 60}
    print_data(value, form)
    read = yaml.safe_load(capsys.readouterr().out)
    assert read == value
    assert list(read) == list(value)


def test_none_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_data({"a": 1}, Format.NONE)
    assert capsys.readouterr().out == ""


def test_a_table_of_what_was_queried_has_its_keys_as_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = [{"name": "a", "status": "Failed", "tags": {}}, {"name": "b", "tags": {}}]
    query = parse_query("[].{Name: name, Status: status, Tags: tags}")
    print_data(query_result(query, jobs), Format.TABLE)
    assert capsys.readouterr().out.splitlines() == ["Name  Status", "a     Failed", "b"]


@pytest.mark.parametrize("query", ["[", "a b", "{a: }", ""])
def test_a_query_that_is_none_is_refused_with_an_example(query: str) -> None:
    with pytest.raises(InvalidRequest, match="no JMESPath query") as refused:
        parse_query(query)
    assert "jmespath.org" in str(refused.value)


def test_a_query_that_does_not_fit_the_data_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="cannot be answered"):
        query_result(parse_query("abs(name)"), {"name": "x"})
