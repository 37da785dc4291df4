"""Inputs and outputs: what components declare, and what jobs and steps give.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-component-command and
.../reference-yaml-job-command, sections "Component inputs" and "Job inputs".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast, get_args

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.document import short_repr
from mlops_dagster.aml.input_literals import coerce_literal, literal_problem, literal_type
from mlops_dagster.aml.inputs_outputs import (
    InputMode,
    InputSpec,
    InputValue,
    OutputMode,
    OutputSpec,
    OutputValue,
    Scalar,
)
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.references import resolve_path
from mlops_dagster.aml.types import LITERAL_TYPES, PATH_TYPES, InputType

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# Older names that the service still takes.
_TYPE_ALIASES = {"path": "uri_folder"}
_MODE_ALIASES = {"mount": "ro_mount", "link": "ro_mount"}


def read_input_specs(node: Node) -> dict[str, InputSpec]:
    """The inputs that a component declares."""
    specs: dict[str, InputSpec] = {}
    for name, entry in node.entries():
        _check_name(entry, name)
        if isinstance(entry.data, str) or not entry.is_set:
            remedy = "Write a mapping, such as {type: string}."
            entry.add_problem(
                f"Found {short_repr(entry.data)}; a component declares its inputs.", remedy
            )
        elif entry.expect_mapping() and (spec := _input_spec(entry)):
            specs[name] = spec
    return specs


def _input_spec(entry: Node) -> InputSpec | None:
    known = ("type", "description", "mode", "default", "optional", "min", "max", "enum")
    entry.check_fields((*known, "path", "intellectual_property", "is_multivalued", "annotations"))
    entry.required("type")
    type = cast(
        "InputType | None",
        entry.choice("type", (*LITERAL_TYPES, *PATH_TYPES), aliases=_TYPE_ALIASES),
    )
    if type is None:
        return None
    spec = InputSpec(
        type=type,
        description=entry.text("description") or "",
        mode=_input_mode(entry),
        optional=entry.boolean("optional", default=False),
        min=entry.number("min"),
        max=entry.number("max"),
        enum=_enum(entry, type),
    )
    default = entry.at("default")
    if not default.is_set:
        return spec
    if spec.is_data:
        default.add_problem(
            "Data has no default.", "Make the input optional, or give it in the job."
        )
        return spec
    if not isinstance(default.data, str | int | float | bool):
        default.add_mismatch(f"a {type}")
        return spec
    value = _read_literal(default, default.data, spec)
    # The mistake is added: do not ask for the input again where a job does not give it.
    return spec.model_copy(update={"default": value} if value is not None else {"optional": True})


def _enum(entry: Node, type: InputType) -> tuple[Scalar, ...]:
    allowed: list[Scalar] = []
    for item in entry.items("enum"):
        try:
            allowed.append(coerce_literal(item.data, type))
        except (ValueError, TypeError):
            item.add_mismatch(f"a {type}")
    return tuple(allowed)


def read_output_specs(node: Node) -> dict[str, OutputSpec]:
    """The outputs that a component declares."""
    specs: dict[str, OutputSpec] = {}
    for name, entry in node.entries():
        _check_name(entry, name)
        if not entry.is_set:
            entry.add_problem("The output has no type.", "Write {type: uri_folder}.")
            specs[name] = OutputSpec()
        elif entry.expect_mapping():
            entry.required("type")
            entry.check_fields(
                ("type", "description", "mode", "path", "is_control", "early_available", "optional",
                 "name", "version", "intellectual_property")
            )  # fmt: skip
            specs[name] = OutputSpec(
                type=cast(
                    "InputType",
                    entry.choice("type", (*PATH_TYPES, *LITERAL_TYPES), aliases=_TYPE_ALIASES)
                    or "uri_folder",
                ),
                description=entry.text("description") or "",
                mode=_output_mode(entry),
            )
    return specs


def read_input(
    entry: Node, spec: InputSpec | None, *, may_be_open: bool = False
) -> InputValue | None:
    """What a job or step gives to one input; None, with the mistake added, where it is unusable.

    A bare text is a path where the input is declared to be data, and otherwise a literal.

    Args:
        may_be_open: data may be left without a path, for whoever submits the job to set it.
    """
    data = entry.data
    if spec is None:
        _check_name(entry, entry.name)
    if data is None:
        entry.add_problem("Nothing is given to this input.", "Give it a value, or remove it.")
        return None
    if isinstance(data, dict):
        return _input_object(entry, spec, may_be_open=may_be_open)
    if not isinstance(data, str | int | float | bool):
        text = entry.as_text()
        return None if text is None else InputValue(value=text)
    if spec is not None and spec.is_data and not sole_binding(data):
        if isinstance(data, str):
            return InputValue(type=spec.type, path=resolve_path(data, entry.folder))
        entry.add_mismatch(
            f"data, for the input is declared {spec.type}", "Write {type: ..., path: ...}."
        )
        return None
    value = data if spec is None or spec.is_data else _read_literal(entry, data, spec)
    return None if value is None else InputValue(value=value)


def _input_object(entry: Node, spec: InputSpec | None, *, may_be_open: bool) -> InputValue | None:
    known = ("type", "path", "mode", "value", "description", "datastore", "path_on_compute")
    entry.check_fields((*known, "optional", "default"))
    type = cast(
        "InputType | None",
        entry.choice("type", (*PATH_TYPES, *LITERAL_TYPES), aliases=_TYPE_ALIASES),
    )
    mode = _input_mode(entry)
    description = entry.text("description") or ""
    for name in ("optional", "default"):
        if entry.has(name):
            remedy = "A value is written `x: 3` or `x: {value: 3}`; only components declare."
            entry.at(name).add_problem("A job gives values; it declares no inputs.", remedy)
    if entry.has("value"):
        return _literal_object(entry, spec, description)
    path = entry.text("path")
    if path is None and may_be_open and type in PATH_TYPES and not entry.has("path"):
        return InputValue(type=type, mode=mode, description=description)
    if path is None:
        if not entry.at("path").is_set and not entry.has("optional") and not entry.has("default"):
            entry.add_problem("There is neither a path nor a value.", "Add `path:` or `value:`.")
        return None
    if spec is not None and not spec.is_data and not bindings(path):
        remedy = "Write the value itself."
        entry.add_problem(
            f"Found data; expected a literal, for the input is declared {spec.type}.", remedy
        )
        return None
    if type in LITERAL_TYPES and not bindings(path):
        entry.at("type").add_problem(
            f"Found {type!r} for a path.", f"Use one of {', '.join(PATH_TYPES)}."
        )
        return None
    return InputValue(
        type=type, path=resolve_path(path, entry.folder), mode=mode, description=description
    )


def _literal_object(entry: Node, spec: InputSpec | None, description: str) -> InputValue | None:
    node = entry.at("value")
    for name in ("path", "type", "mode"):
        if entry.has(name):
            remedy = "Write the value by itself: `x: 3`."
            entry.at(name).add_problem(f"A literal has no {name!r}.", remedy)
            return None
    if not isinstance(node.data, str | int | float | bool):
        node.add_mismatch("text, a number or a boolean")
        return None
    if spec is not None and spec.is_data and not bindings(str(node.data)):
        node.add_mismatch(
            f"data, for the input is declared {spec.type}", "Write {type: ..., path: ...}."
        )
        return None
    value = node.data if spec is None or spec.is_data else _read_literal(node, node.data, spec)
    return None if value is None else InputValue(value=value, description=description)


def _read_literal(node: Node, value: Scalar, spec: InputSpec) -> Scalar | None:
    """The literal as its declaration wants it; None, with the mistake added, where it cannot be."""
    if isinstance(value, str) and bindings(value):
        return value
    if expected := literal_problem(value, spec):
        node.add_problem(f"Found {short_repr(value)}; {expected}.")
        return None
    return coerce_literal(value, spec.type)


def read_outputs(node: Node, *, binds: bool) -> dict[str, OutputValue]:
    """Where a job or step puts its outputs; an output without a body is left to Azure ML.

    Args:
        binds: bare text may stand for a path: the step of a pipeline binds its outputs so.
    """
    values: dict[str, OutputValue] = {}
    for name, entry in node.entries():
        _check_name(entry, name)
        if isinstance(entry.data, str):
            if binds and sole_binding(entry.data):
                values[name] = OutputValue(path=entry.data.strip())
            else:
                remedy = "Write {type: uri_folder}, and `path:` where it must lie somewhere."
                entry.add_mismatch("a mapping", remedy)
        elif not entry.is_set:
            values[name] = OutputValue()
        elif entry.expect_mapping():
            entry.check_fields(("type", "path", "mode", "name", "version", "description"))
            if entry.at("version").is_set and not entry.at("name").is_set:
                remedy = "Add `name:`, under which the output is registered."
                entry.at("version").add_problem("A version is given without a name.", remedy)
            values[name] = OutputValue(
                type=cast(
                    "InputType | None",
                    entry.choice("type", (*PATH_TYPES, *LITERAL_TYPES), aliases=_TYPE_ALIASES),
                ),
                path=entry.text("path"),
                mode=_output_mode(entry),
                name=entry.asset_name("name"),
                version=entry.asset_version("version"),
                description=entry.text("description") or "",
            )
    return values


def implied_input_spec(value: InputValue) -> InputSpec:
    """What a job without a declaration declares by giving ``value``, which is no binding."""
    if value.value is None:
        return InputSpec(type=value.type or "uri_folder", mode=value.mode)
    return InputSpec(type=literal_type(value.value))


def implied_output_specs(values: Mapping[str, OutputValue]) -> dict[str, OutputSpec]:
    """What a job without a declaration declares by naming its outputs."""
    return {
        name: OutputSpec(type=value.type or "uri_folder", mode=value.mode)
        for name, value in values.items()
    }


def _input_mode(entry: Node) -> InputMode | None:
    return cast(
        "InputMode | None", entry.choice("mode", get_args(InputMode), aliases=_MODE_ALIASES)
    )


def _output_mode(entry: Node) -> OutputMode | None:
    return cast("OutputMode | None", entry.choice("mode", get_args(OutputMode)))


def _check_name(entry: Node, name: str) -> None:
    if not _NAME.fullmatch(name):
        remedy = "Use letters, digits and underscores, and begin with a letter."
        entry.add_problem(f"{short_repr(name)} cannot be the name of an input or output.", remedy)
