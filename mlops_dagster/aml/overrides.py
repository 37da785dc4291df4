"""Fields of a document that are replaced before it is read, as ``--set FIELD=VALUE`` asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from mlops_dagster.aml.bindings import bindings
from mlops_dagster.aml.document import Document, Loc
from mlops_dagster.errors import InvalidDocument, Problem, suggest

# Azure ML's older spelling of ${{inputs.x}} in a command.
_SINGLE_BRACES = re.compile(r"(?<!\{)\{(inputs|outputs)\.([^{}]*)\}(?!\})")


def with_overrides(document: Document, overrides: Mapping[str, Any]) -> Document:
    """The document with fields replaced, each named by its dotted path.

    A literal below ``inputs`` gives way to a mapping, so that ``inputs.x.path`` can be set. Raises
    InvalidDocument where a field leads through something that is no mapping, or adds an input or
    output that nothing in the document uses.
    """
    data = deepcopy(document.data)
    problems: list[Problem] = []
    for field, value in overrides.items():
        problem = _override(document, data, field, value)
        if problem is not None:
            problems.append(problem)
    for field in overrides:
        loc = _input_or_output(field)
        if loc is None or _at(document.data, loc) is not None or _at(data, loc) is None:
            continue
        if not is_used(data, loc):
            kind, name = str(loc[-2])[:-1], str(loc[-1])
            message = f"--set {field}=...: there is no {kind} {name!r}."
            known = _at(document.data, loc[:-1])
            remedy = suggest(name, known if isinstance(known, dict) else ()) or ""
            problems.append(document.problem(loc[:-1], message, remedy))
    if problems:
        raise InvalidDocument(problems)
    return Document(document.path, data, document.lines)


def is_used(data: Any, loc: Loc) -> bool:
    """Whether a job or step uses the input or output at ``loc``, such as ``("inputs", "rate")``.

    What names a component is not looked into: the component declares its inputs and outputs.
    """
    owner, kind, name = _at(data, loc[:-2]), str(loc[-2]), str(loc[-1])
    if not isinstance(owner, dict) or "component" in owner or isinstance(owner.get("trial"), str):
        return True
    root = f"parent.{kind}" if "jobs" in owner else kind
    return any(
        used == name or used.startswith(f"{name}.")
        for text in _texts({key: value for key, value in owner.items() if key != kind})
        for used in _names_in(text, root)
    )


def _override(document: Document, data: Any, field: str, value: Any) -> Problem | None:
    """Replace one field in ``data``; the problem where it cannot be."""
    *through, last = field.split(".")
    here: Any = data
    for depth, name in enumerate(through):
        inside = here.get(name) if isinstance(here, dict) else _item(here, name)
        if isinstance(here, dict) and (
            inside is None or (depth and through[depth - 1] == "inputs" and _is_scalar(inside))
        ):
            inside = here[name] = {}
        if not isinstance(inside, dict | list):
            message = f"--set {field}=... leads through what is no mapping."
            remedy = "Set the whole of it instead."
            return document.problem(tuple(through[: depth + 1]), message, remedy)
        here = inside
    if isinstance(here, dict):
        here[last] = value
    elif last.isdecimal() and int(last) < len(here):
        here[int(last)] = value
    else:
        return document.problem(tuple(through), f"--set {field}=... names no item of this list.")
    return None


def _input_or_output(field: str) -> Loc | None:
    """The place of the input or output that a field belongs to; None for any other field."""
    keys = field.split(".")
    start = 2 if keys[0] == "jobs" else 0
    if len(keys) > start + 1 and keys[start] in ("inputs", "outputs"):
        return tuple(keys[: start + 2])
    return None


def _names_in(text: str, root: str) -> Iterator[str]:
    for binding in bindings(text):
        if binding.root == root:
            yield binding.names[0]
    for match in _SINGLE_BRACES.finditer(text):
        if match[1] == root:
            yield match[2]


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for inner in data.values() if isinstance(data, dict) else data:
            yield from _texts(inner)


def _at(data: Any, loc: Loc) -> Any:
    for key in loc:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _item(data: Any, name: str) -> Any:
    if isinstance(data, list) and name.isdecimal() and int(name) < len(data):
        return data[int(name)]
    return None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
