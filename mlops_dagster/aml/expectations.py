"""What a field expects, in words of our own: pydantic speaks of Python's types, users write YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from mlops_dagster.errors import suggest

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "nothing",
}
# The words before a limit, its name in pydantic's context, and what is counted.
_LIMITS = {
    "greater_than_equal": ("at least", "ge", ""),
    "greater_than": ("more than", "gt", ""),
    "less_than_equal": ("at most", "le", ""),
    "less_than": ("less than", "lt", ""),
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
}


def expectation(detail: ErrorDetails) -> str:
    """What is expected where pydantic found a mistake, such as ``a whole number``."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _LIMITS:
        words, key, unit = _LIMITS[kind]
        limit = context[key]
        number = f"{limit:g}" if isinstance(limit, float) else str(limit)
        return (
            f"{words} {number} {unit if limit == 1 else f'{unit}s'}"
            if unit
            else f"{words} {number}"
        )
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    message = detail["msg"].removeprefix("Input should be ").rstrip(".")
    return message[:1].lower() + message[1:]


def remedy_of(detail: ErrorDetails) -> str:
    """What to write instead, where that is plain; else nothing."""
    kind, found = detail["type"], detail["input"]
    if kind == "string_type" and isinstance(found, int | float):
        return f"Put it in quotes: '{str(found).lower() if isinstance(found, bool) else found}'."
    if kind in ("list_type", "tuple_type") and isinstance(found, str | int | float):
        return f"Write [{found}]."
    if kind == "literal_error":
        choices = [part.strip(" '") for part in _choices(detail.get("ctx", {}))]
        near = suggest(str(found), choices) or ""
        return near if near.startswith("Did you mean") else ""
    return ""


def is_consequence(detail: ErrorDetails) -> bool:
    """Whether a mistake only follows from one that is reported for an item: a list that lost items."""
    found = detail["input"]
    return (
        detail["type"] == "too_short"
        and isinstance(found, list)
        and len(found) >= detail.get("ctx", {})["min_length"]
    )


def _choices(context: Mapping[str, Any]) -> list[str]:
    return str(context.get("expected", "")).replace(" or ", ", ").split(", ")
