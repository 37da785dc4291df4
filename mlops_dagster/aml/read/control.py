"""Control flow between the steps of a pipeline: `if_else`, `do_while`, `parallel_for`.

The Azure tools read these only with their preview features switched on. Source:
learn.microsoft.com/azure/machine-learning/how-to-use-pipeline-component (control flow, preview).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.io import InputValue
from mlops_dagster.aml.job import Component, DoWhile, IfElse, ParallelFor
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.ios import read_input
from mlops_dagster.errors import suggest

KINDS = ("if_else", "do_while", "parallel_for")


def read_control(part: Part, kind: str, steps: Mapping[str, Any]) -> Component | None:
    """A step that steers others; ``steps`` are those of its pipeline."""
    match kind:
        case "if_else":
            return _if_else(part, steps)
        case "do_while":
            return _do_while(part, steps)
        case _:
            return _parallel_for(part, steps)


def _if_else(part: Part, steps: Mapping[str, Any]) -> IfElse | None:
    part.fields(("type", "condition", "true_block", "false_block", "name"), closed=False)
    condition = part.required("condition")
    if condition.given and not isinstance(condition.data, bool):
        binding = sole_binding(condition.data)
        if binding is None or binding.root not in ("parent.jobs", "parent.inputs"):
            condition.wrong("true, false, or ${{parent.jobs.STEP.outputs.NAME}}")
            return None
        if binding.root == "parent.jobs" and binding.names[0] not in steps:
            condition.problem(
                f"There is no step {binding.names[0]!r}.", suggest(binding.names[0], steps)
            )
    true_block = _blocks(part.at("true_block"), steps)
    false_block = _blocks(part.at("false_block"), steps)
    if not true_block and not false_block:
        part.problem("There is no step in either block.", "Add `true_block:` or `false_block:`.")
    if both := set(true_block) & set(false_block):
        part.at("false_block").problem(f"{min(both)!r} stands in both blocks.")
    if not condition.given:
        return None
    return IfElse(condition=condition.data, true_block=true_block, false_block=false_block)


def _blocks(part: Part, steps: Mapping[str, Any]) -> tuple[str, ...]:
    entries = [part.at(i) for i in range(len(part.data))] if isinstance(part.data, list) else [part]
    names = [_step(entry, steps) for entry in entries if entry.given]
    return tuple(name for name in names if name)


def _step(part: Part, steps: Mapping[str, Any]) -> str | None:
    binding = sole_binding(part.data)
    if binding is None or binding.root != "parent.jobs" or len(binding.names) != 1:
        part.wrong("a step, written ${{parent.jobs.STEP}}")
        return None
    name = binding.names[0]
    if name not in steps or (len(part.loc) > 1 and part.loc[-2] == name):
        part.problem(f"There is no other step {name!r}.", suggest(name, steps))
        return None
    return name


def _do_while(part: Part, steps: Mapping[str, Any]) -> DoWhile | None:
    part.fields(("type", "body", "condition", "mapping", "limits", "name"), closed=False)
    body = _body(part, steps)
    condition = part.required("condition").as_text()
    mapping: dict[str, tuple[str, ...]] = {}
    part.required("mapping")
    for output, entry in part.entries("mapping"):
        inputs = (
            part.at("mapping").texts(output) if isinstance(entry.data, list) else (entry.as_text(),)
        )
        mapping[output] = tuple(_port(text) for text in inputs if text)
    limits = part.required("limits")
    rounds = limits.integer("max_iteration_count") if limits.is_mapping() else None
    if limits.given and rounds is None:
        limits.required("max_iteration_count")
    if rounds is not None and not 1 <= rounds <= 1000:
        limits.at("max_iteration_count").wrong("between 1 and 1000")
    if body is None or condition is None or rounds is None:
        return None
    return DoWhile(
        body=body, condition=_port(condition), mapping=mapping, max_iteration_count=rounds
    )


def _port(text: str) -> str:
    """The name in ``${{parent.jobs.body.outputs.NAME}}``, or the name itself."""
    binding = sole_binding(text)
    return binding.names[-1].rpartition(".")[2] if binding and binding.names else text


def _parallel_for(part: Part, steps: Mapping[str, Any]) -> ParallelFor | None:
    part.fields(("type", "body", "items", "max_concurrency", "outputs", "name"), closed=False)
    body = _body(part, steps)
    items = part.required("items")
    found = _items(items)
    if body is None or found is None:
        return None
    return ParallelFor(body=body, items=found, max_concurrency=part.integer("max_concurrency"))


def _items(
    part: Part,
) -> dict[str, dict[str, InputValue]] | tuple[dict[str, InputValue], ...] | str | None:
    if isinstance(part.data, str):
        if sole_binding(part.data):
            return part.data
        with suppress(ValueError, RecursionError):
            part = Part(part.document, json.loads(part.data), part.loc, part.reading)
    if isinstance(part.data, dict):
        return {name: _item(entry) for name, entry in part.entries()}
    if isinstance(part.data, list):
        return tuple(_item(part.at(position)) for position in range(len(part.data)))
    if part.given:
        part.wrong("a list of items, a mapping of them, or JSON")
    return None


def _item(part: Part) -> dict[str, InputValue]:
    values = {name: read_input(entry, None) for name, entry in part.entries()}
    return {name: value for name, value in values.items() if value is not None}


def _body(part: Part, steps: Mapping[str, Any]) -> str | None:
    body = part.required("body")
    return _step(body, steps) if body.given else None
