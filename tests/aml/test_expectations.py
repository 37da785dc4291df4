"""A mistake in a field is told in YAML's words, with what to write where that is plain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.document import Document, parse_model
from mlops_dagster.errors import InvalidDocument


class Inner(Value):
    """A mapping of fields."""

    x: int = 0


class Fields(Value):
    """One field of each kind."""

    text: str = ""
    whole: Annotated[int, Field(ge=1)] = 1
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    yes: bool = True
    choice: Literal["eager", "on_missing"] = "eager"
    items: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)] = ("a",)
    table: dict[str, int] = {}
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("field", "value", "message", "remedy"),
    [
        ("text", 3, "Found 3; expected text.", "Put it in quotes: '3'."),
        ("text", True, "Found True; expected text.", "Put it in quotes: 'true'."),
        ("text", ["a"], "Found ['a']; expected text.", ""),
        ("whole", "x", "Found 'x'; expected a whole number.", ""),
        ("whole", 1.5, "Found 1.5; expected a whole number.", ""),
        ("whole", 0, "Found 0; expected at least 1.", ""),
        ("share", "much", "Found 'much'; expected a number.", ""),
        ("share", 0, "Found 0; expected more than 0.", ""),
        ("share", 2, "Found 2; expected at most 1.", ""),
        ("yes", "maybe", "Found 'maybe'; expected true or false.", ""),
        (
            "choice",
            "on_mising",
            "Found 'on_mising'; expected 'eager' or 'on_missing'.",
            "Did you mean 'on_missing'?",
        ),
        ("choice", "x", "Found 'x'; expected 'eager' or 'on_missing'.", ""),
        ("items", "a", "Found 'a'; expected a list.", "Write [a]."),
        ("items", [], "Found []; expected at least 1 item.", ""),
        ("items", ["a", "b", "c"], "Found ['a', 'b', 'c']; expected at most 2 items.", ""),
        ("items", [1], "Found 1; expected text.", "Put it in quotes: '1'."),
        ("table", "x", "Found 'x'; expected a mapping.", ""),
        ("inner", 5, "Found 5; expected a mapping of fields.", ""),
        ("inner", {"y": 1}, "There is no such field.", "Known here: x."),
    ],
)
def test_a_mistake_is_told_in_words_of_our_own(
    field: str, value: Any, message: str, remedy: str
) -> None:
    data = {field: value}
    with pytest.raises(InvalidDocument) as refused:
        parse_model(Fields, Document(Path("file.yml"), data, {}), data)
    (problem,) = refused.value.problems
    assert (problem.message, problem.remedy) == (message, remedy)
    assert problem.field.startswith(field)
