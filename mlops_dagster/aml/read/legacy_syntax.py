"""Spellings that the Azure tools turn into others before a job is submitted.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-core-syntax
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.node import Node
from mlops_dagster.errors import suggest

_SINGLE = re.compile(r"(?<!\{)\{(inputs|outputs|search_space)\.([^}]*)\}(?!\})")
_STEP_INPUT = re.compile(r"parent\.jobs\.([^.\s]+)\.inputs\.(\S+)")


def expand_single_braces(node: Node) -> Node:
    """A standing command or sweep whose ``{inputs.x}`` are ``${{inputs.x}}``."""
    data = node.data
    if isinstance(data.get("trial"), dict):
        return replace(node, data={**data, "trial": _with_double_braces(data["trial"])})
    return replace(node, data=_with_double_braces(data))


def _with_double_braces(data: Mapping[str, Any]) -> dict[str, Any]:
    command = data.get("command")
    if not isinstance(command, str):
        return dict(data)
    return {**data, "command": _SINGLE.sub(r"${{\1.\2}}", command)}


def follow_step_inputs(steps: Mapping[str, Node]) -> dict[str, Node]:
    """Steps whose inputs ``${{parent.jobs.STEP.inputs.NAME}}`` are what that step is given."""
    return {name: _follow_inputs(step, steps) for name, step in steps.items()}


def _follow_inputs(step: Node, steps: Mapping[str, Node]) -> Node:
    if not isinstance(step.data, dict) or not isinstance(step.data.get("inputs"), dict):
        return step
    given = {
        name: _input_origin(step.at("inputs").at(name), steps, ()) for name in step.data["inputs"]
    }
    return replace(step, data={**step.data, "inputs": given})


def _input_origin(entry: Node, steps: Mapping[str, Node], seen: tuple[str, ...]) -> Any:
    """What an input is given in the end, with the fields of its own that stand beside it."""
    data = entry.data
    bound = data.get("path") if isinstance(data, dict) else data
    binding = sole_binding(bound)
    match = _STEP_INPUT.fullmatch(binding.root) if binding else None
    if binding is None or match is None:
        return data
    step, name = match.groups()
    where = entry.at("path") if isinstance(data, dict) else entry
    if step not in steps:
        where.add_problem(f"{binding.text}: there is no step {step!r}.", suggest(step, steps))
        return ""
    inputs = steps[step].at("inputs")
    if binding.root in seen:
        where.add_problem(f"{binding.text} leads back to itself.", "Write the value itself.")
        return ""
    if not inputs.at(name).is_set:
        remedy = "Give it there, or write the value itself here."
        where.add_problem(f"{binding.text}: the step {step!r} is given no input {name!r}.", remedy)
        return ""
    found = _input_origin(inputs.at(name), steps, (*seen, binding.root))
    if not isinstance(data, dict):
        return found
    return (
        {**found, **_fields_beside_path(data)}
        if isinstance(found, dict)
        else {**data, "path": found}
    )


def _fields_beside_path(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "path"}
