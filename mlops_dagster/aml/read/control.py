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
from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import Component, DoWhile, IfElse, ParallelFor
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.inputs_outputs import read_input
from mlops_dagster.errors import suggest

KINDS = ("if_else", "do_while", "parallel_for")


def read_control(node: Node, kind: str, steps: Mapping[str, Any]) -> Component | None:
    """A step that steers others; ``steps`` are those of its pipeline."""
    match kind:
        case "if_else":
            return _if_else(node, steps)
        case "do_while":
            return _do_while(node, steps)
        case _:
            return _parallel_for(node, steps)


def _if_else(node: Node, steps: Mapping[str, Any]) -> IfElse | None:
    node.check_fields(("type", "condition", "true_block", "false_block", "name"), closed=False)
    condition = node.required("condition")
    if condition.is_set and not isinstance(condition.data, bool):
        binding = sole_binding(condition.data)
        if binding is None or binding.root not in ("parent.jobs", "parent.inputs"):
            condition.add_mismatch("true, false, or ${{parent.jobs.STEP.outputs.NAME}}")
            return None
        if binding.root == "parent.jobs" and binding.names[0] not in steps:
            condition.add_problem(
                f"There is no step {binding.names[0]!r}.", suggest(binding.names[0], steps)
            )
    true_block = _block_steps(node.at("true_block"), steps)
    false_block = _block_steps(node.at("false_block"), steps)
    if not true_block and not false_block:
        node.add_problem(
            "There is no step in either block.", "Add `true_block:` or `false_block:`."
        )
    if both := set(true_block) & set(false_block):
        node.at("false_block").add_problem(f"{min(both)!r} stands in both blocks.")
    if not condition.is_set:
        return None
    return IfElse(condition=condition.data, true_block=true_block, false_block=false_block)


def _block_steps(node: Node, steps: Mapping[str, Any]) -> tuple[str, ...]:
    entries = [node.at(i) for i in range(len(node.data))] if isinstance(node.data, list) else [node]
    names = [_bound_step(entry, steps) for entry in entries if entry.is_set]
    return tuple(name for name in names if name)


def _bound_step(node: Node, steps: Mapping[str, Any]) -> str | None:
    binding = sole_binding(node.data)
    if binding is None or binding.root != "parent.jobs" or len(binding.names) != 1:
        node.add_mismatch("a step, written ${{parent.jobs.STEP}}")
        return None
    name = binding.names[0]
    if name not in steps or (len(node.loc) > 1 and node.loc[-2] == name):
        node.add_problem(f"There is no other step {name!r}.", suggest(name, steps))
        return None
    return name


def _do_while(node: Node, steps: Mapping[str, Any]) -> DoWhile | None:
    node.check_fields(("type", "body", "condition", "mapping", "limits", "name"), closed=False)
    body = _loop_body(node, steps)
    condition = node.required("condition").as_text()
    mapping: dict[str, tuple[str, ...]] = {}
    node.required("mapping")
    for output, entry in node.entries("mapping"):
        inputs = (
            node.at("mapping").texts(output) if isinstance(entry.data, list) else (entry.as_text(),)
        )
        mapping[output] = tuple(_output_name(text) for text in inputs if text)
    limits = node.required("limits")
    rounds = limits.integer("max_iteration_count") if limits.expect_mapping() else None
    if limits.is_set and rounds is None:
        limits.required("max_iteration_count")
    if rounds is not None and not 1 <= rounds <= 1000:
        limits.at("max_iteration_count").add_mismatch("between 1 and 1000")
    if body is None or condition is None or rounds is None:
        return None
    return DoWhile(
        body=body, condition=_output_name(condition), mapping=mapping, max_iteration_count=rounds
    )


def _output_name(text: str) -> str:
    """The name in ``${{parent.jobs.body.outputs.NAME}}``, or the name itself."""
    binding = sole_binding(text)
    return binding.names[-1].rpartition(".")[2] if binding and binding.names else text


def _parallel_for(node: Node, steps: Mapping[str, Any]) -> ParallelFor | None:
    node.check_fields(("type", "body", "items", "max_concurrency", "outputs", "name"), closed=False)
    body = _loop_body(node, steps)
    items = node.required("items")
    found = _loop_items(items)
    if body is None or found is None:
        return None
    return ParallelFor(body=body, items=found, max_concurrency=node.integer("max_concurrency"))


def _loop_items(
    node: Node,
) -> dict[str, dict[str, InputValue]] | tuple[dict[str, InputValue], ...] | str | None:
    if isinstance(node.data, str):
        if sole_binding(node.data):
            return node.data
        with suppress(ValueError, RecursionError):
            node = Node(node.document, json.loads(node.data), node.loc, node.session)
    if isinstance(node.data, dict):
        return {name: _item_inputs(entry) for name, entry in node.entries()}
    if isinstance(node.data, list):
        return tuple(_item_inputs(node.at(position)) for position in range(len(node.data)))
    if node.is_set:
        node.add_mismatch("a list of items, a mapping of them, or JSON")
    return None


def _item_inputs(node: Node) -> dict[str, InputValue]:
    values = {name: read_input(entry, None) for name, entry in node.entries()}
    return {name: value for name, value in values.items() if value is not None}


def _loop_body(node: Node, steps: Mapping[str, Any]) -> str | None:
    body = node.required("body")
    return _bound_step(body, steps) if body.is_set else None
