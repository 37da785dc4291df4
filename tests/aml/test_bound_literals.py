"""Literals behind the bindings of pipelines: their type, range and enum are checked all the same."""

from __future__ import annotations

import pytest

from mlops_dagster.aml import check, load_job
from mlops_dagster.errors import InvalidDocument
from tests.aml.conftest import Write, mistakes_in

COMPONENT = """
    name: train
    type: command
    command: run ${{inputs.i}} ${{inputs.f}} ${{inputs.b}} ${{inputs.e}}
    environment: {image: i}
    inputs:
      i: {type: integer, min: 1, max: 5, default: 2}
      f: {type: number, min: 0, max: 1, default: 0.5}
      b: {type: boolean, default: true}
      e: {type: string, enum: [a, b], default: a}
"""
BOUND = """
    type: pipeline
    inputs: {x: VALUE}
    jobs:
      one:
        component: ./train.yml
        inputs:
          NAME: ${{parent.inputs.x}}
"""


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("i", "abc", "'abc'; expected a whole number"),
        ("i", "1.5", "1.5; expected a whole number"),
        ("i", "true", "True; expected a whole number"),
        ("i", "9", "9; expected between 1 and 5"),
        ("f", "2", "2; expected between 0 and 1"),
        ("f", "high", "'high'; expected a number"),
        ("b", "maybe", "'maybe'; expected true or false"),
        ("e", "c", "'c'; expected one of a, b"),
    ],
)
def test_what_does_not_fit_is_told_at_the_step_that_takes_it(
    write: Write, name: str, value: str, expected: str
) -> None:
    job = BOUND.replace("NAME", name).replace("VALUE", value)
    (line,) = mistakes_in(write({"it.yml": job, "train.yml": COMPONENT}))
    assert line.startswith(
        f"it.yml:7 jobs.one.inputs.{name}: ${{{{parent.inputs.x}}}} is {expected}"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("i", "'3'"), ("i", "3.0"), ("f", "1e-3"), ("f", "1"), ("b", "'False'"), ("e", "b")],
)
def test_what_fits_is_passed_on_as_it_is(write: Write, name: str, value: str) -> None:
    job = BOUND.replace("NAME", name).replace("VALUE", value)
    assert mistakes_in(write({"it.yml": job, "train.yml": COMPONENT})) == []


NESTED = {
    "it.yml": """
        type: pipeline
        inputs: {outer: OUTER}
        jobs:
          part:
            component: ./part.yml
            inputs: {middle: "${{parent.inputs.outer}}"}
    """,
    "part.yml": """
        name: part
        type: pipeline
        inputs:
          middle: {type: string}
          rate: {type: string, default: RATE}
        jobs:
          one:
            component: ./train.yml
            inputs: {i: "${{parent.inputs.middle}}", f: "${{parent.inputs.rate}}"}
    """,
    "train.yml": COMPONENT,
}


def nested(outer: str, rate: str = "0.1") -> dict[str, str]:
    return {
        name: text.replace("OUTER", outer).replace("RATE", rate) for name, text in NESTED.items()
    }


def test_a_literal_is_followed_through_pipelines_inside_pipelines(write: Write) -> None:
    assert mistakes_in(write(nested("4"))) == []
    assert mistakes_in(write(nested("6"))) == [
        "part.yml:9 jobs.one.inputs.i: ${{parent.inputs.middle}} is 6; expected between 1 and 5."
    ]


def test_a_default_of_a_pipeline_component_is_followed_too(write: Write) -> None:
    path = write(nested("4", rate="lots"))
    expected = (
        "part.yml:9 jobs.one.inputs.f: ${{parent.inputs.rate}} is 'lots'; expected a number, for the"
        " input is declared number."
    )
    assert mistakes_in(path) == [expected]
    (problem,) = check(path.with_name("part.yml"))
    assert (problem.line, problem.field) == (9, "jobs.one.inputs.f")


def test_a_value_that_is_set_is_checked_behind_the_binding(write: Write) -> None:
    job = BOUND.replace("NAME", "i").replace("VALUE", "1")
    path = write({"it.yml": job, "train.yml": COMPONENT})
    load_job(path, overrides={"inputs.x": 5})
    with pytest.raises(InvalidDocument, match="is 6; expected between 1 and 5"):
        load_job(path, overrides={"inputs.x": 6})
