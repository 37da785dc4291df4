from __future__ import annotations

import pytest

from mlops_dagster.aml.bindings import (
    Binding,
    bindings,
    fill,
    optional_bindings,
    render,
    sole_binding,
)


@pytest.mark.parametrize(
    ("text", "root", "names"),
    [
        ("${{inputs.rate}}", "inputs", ("rate",)),
        ("${{ inputs.rate }}", "inputs", ("rate",)),
        ("${{inputs.group.rate}}", "inputs", ("group.rate",)),
        ("${{outputs.model}}", "outputs", ("model",)),
        ("${{search_space.rate}}", "search_space", ("rate",)),
        ("${{parent.inputs.rate}}", "parent.inputs", ("rate",)),
        ("${{parent.outputs.model}}", "parent.outputs", ("model",)),
        ("${{parent.jobs.a.outputs.b}}", "parent.jobs", ("a", "b")),
        ("${{parent.jobs.a}}", "parent.jobs", ("a",)),
        ("${{name}}", "name", ()),
        ("${{jobs.a.outputs.b}}", "jobs.a.outputs.b", ()),
    ],
)
def test_a_binding_has_a_root_and_names(text: str, root: str, names: tuple[str, ...]) -> None:
    assert bindings(f"before {text} after") == [Binding(root, names, text)]
    assert sole_binding(f" {text} ") == Binding(root, names, text)


def test_a_binding_within_other_text_is_not_the_whole_of_it() -> None:
    assert sole_binding("${{inputs.a}}${{inputs.b}}") is None
    assert sole_binding("a ${{inputs.a}}") is None
    assert sole_binding(3) is None


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ({"a": "1", "b": "2"}, "run --a 1 --b 2 end"),
        ({"a": "1"}, "run --a 1  end"),
        ({}, "run   end"),
    ],
)
def test_an_optional_group_vanishes_with_an_input_that_is_not_given(
    given: dict[str, str], filled: str
) -> None:
    text = "run $[[--a ${{inputs.a}}]] $[[--b ${{inputs.b}}]] end"

    assert fill(text, lambda binding: given.get(binding.names[0])) == filled
    assert render(text, lambda binding: given.get(binding.names[0])) == filled


def test_a_group_needs_every_input_in_it() -> None:
    text = "run $[[--pair ${{inputs.a}} ${{inputs.b}}]]"

    assert fill(text, lambda binding: {"a": "1"}.get(binding.names[0])) == "run "
    assert {binding.names for binding in optional_bindings(text)} == {("a",), ("b",)}


def test_text_that_no_shell_reads_takes_values_as_they_are() -> None:
    assert fill("a/${{inputs.x}}", lambda _: "it's $HOME") == "a/it's $HOME"


def test_plain_words_stay_readable_in_a_command() -> None:
    command = render(
        "python t.py --n ${{inputs.x}} --to ${{inputs.x}}/a", lambda _: "/data/a-1.csv"
    )

    assert command == "python t.py --n /data/a-1.csv --to /data/a-1.csv/a"
