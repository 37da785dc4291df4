"""Inputs and outputs: what components declare, and what jobs and steps give.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-component-command and
.../reference-yaml-job-command, sections "Component inputs" and "Job inputs".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast, get_args

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.document import shown
from mlops_dagster.aml.io import (
    InputMode,
    InputSpec,
    InputType,
    InputValue,
    OutputMode,
    OutputSpec,
    OutputValue,
    Scalar,
)
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.literals import coerced, fitted, type_of
from mlops_dagster.aml.references import resolved

LITERALS = ("string", "number", "integer", "boolean")
DATA = tuple(kind for kind in get_args(InputType) if kind not in LITERALS)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# Older names that the service still takes.
_TYPE_ALIASES = {"path": "uri_folder"}
_MODE_ALIASES = {"mount": "ro_mount", "link": "ro_mount"}


def read_input_specs(part: Part) -> dict[str, InputSpec]:
    """The inputs that a component declares."""
    specs: dict[str, InputSpec] = {}
    for name, entry in part.entries():
        _check_name(entry, name)
        if isinstance(entry.data, str) or not entry.given:
            remedy = "Write a mapping, such as {type: string}."
            entry.problem(f"Found {shown(entry.data)}; a component declares its inputs.", remedy)
        elif entry.is_mapping() and (spec := _input_spec(entry)):
            specs[name] = spec
    return specs


def _input_spec(entry: Part) -> InputSpec | None:
    known = ("type", "description", "mode", "default", "optional", "min", "max", "enum")
    entry.fields((*known, "path", "intellectual_property", "is_multivalued", "annotations"))
    entry.required("type")
    type = cast("InputType | None", entry.choice("type", (*LITERALS, *DATA), aliases=_TYPE_ALIASES))
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
    if not default.given:
        return spec
    if spec.is_data:
        default.problem("Data has no default.", "Make the input optional, or give it in the job.")
        return spec
    if not isinstance(default.data, str | int | float | bool):
        default.wrong(f"a {type}")
        return spec
    value = fitted(default, default.data, spec)
    # With the mistake told, the input is not asked for a second time where it is not given.
    return spec.model_copy(update={"default": value} if value is not None else {"optional": True})


def _enum(entry: Part, type: InputType) -> tuple[Scalar, ...]:
    allowed: list[Scalar] = []
    for item in entry.items("enum"):
        try:
            allowed.append(coerced(item.data, type))
        except (ValueError, TypeError):
            item.wrong(f"a {type}")
    return tuple(allowed)


def read_output_specs(part: Part) -> dict[str, OutputSpec]:
    """The outputs that a component declares."""
    specs: dict[str, OutputSpec] = {}
    for name, entry in part.entries():
        _check_name(entry, name)
        if not entry.given:
            entry.problem("The output has no type.", "Write {type: uri_folder}.")
            specs[name] = OutputSpec()
        elif entry.is_mapping():
            entry.required("type")
            entry.fields(
                ("type", "description", "mode", "path", "is_control", "early_available", "optional",
                 "name", "version", "intellectual_property")
            )  # fmt: skip
            specs[name] = OutputSpec(
                type=cast(
                    "InputType",
                    entry.choice("type", (*DATA, *LITERALS), aliases=_TYPE_ALIASES) or "uri_folder",
                ),
                description=entry.text("description") or "",
                mode=_output_mode(entry),
            )
    return specs


def read_input(entry: Part, spec: InputSpec | None) -> InputValue | None:
    """What a job or step gives to one input; None, with the mistake noted, where it is unusable.

    A bare text is a path where the input is declared to be data, and otherwise a literal: so says
    the schema, and so does a job without a declaration.
    """
    data = entry.data
    if spec is None:
        _check_name(entry, entry.name)
    if data is None:
        entry.problem("Nothing is given to this input.", "Give it a value, or remove it.")
        return None
    if isinstance(data, dict):
        return _input_object(entry, spec)
    if not isinstance(data, str | int | float | bool):
        text = entry.as_text()
        return None if text is None else InputValue(value=text)
    if spec is not None and spec.is_data and not sole_binding(data):
        if isinstance(data, str):
            return InputValue(type=spec.type, path=resolved(data, entry.folder))
        entry.wrong(f"data, for the input is declared {spec.type}", "Write {type: ..., path: ...}.")
        return None
    value = data if spec is None or spec.is_data else fitted(entry, data, spec)
    return None if value is None else InputValue(value=value)


def _input_object(entry: Part, spec: InputSpec | None) -> InputValue | None:
    known = ("type", "path", "mode", "value", "description", "datastore", "path_on_compute")
    entry.fields((*known, "optional", "default"))
    type = cast("InputType | None", entry.choice("type", (*DATA, *LITERALS), aliases=_TYPE_ALIASES))
    mode = _input_mode(entry)
    description = entry.text("description") or ""
    for name in ("optional", "default"):
        if entry.has(name):
            remedy = "A value is written `x: 3` or `x: {value: 3}`; only components declare."
            entry.at(name).problem("A job gives values; it declares no inputs.", remedy)
    if entry.has("value"):
        return _literal_object(entry, spec, description)
    path = entry.text("path")
    if path is None:
        if not entry.at("path").given and not entry.has("optional") and not entry.has("default"):
            entry.problem("There is neither a path nor a value.", "Add `path:` or `value:`.")
        return None
    if spec is not None and not spec.is_data and not bindings(path):
        remedy = "Write the value itself."
        entry.problem(
            f"Found data; expected a literal, for the input is declared {spec.type}.", remedy
        )
        return None
    if type in LITERALS and not bindings(path):
        entry.at("type").problem(f"Found {type!r} for a path.", f"Use one of {', '.join(DATA)}.")
        return None
    return InputValue(
        type=type, path=resolved(path, entry.folder), mode=mode, description=description
    )


def _literal_object(entry: Part, spec: InputSpec | None, description: str) -> InputValue | None:
    part = entry.at("value")
    for name in ("path", "type", "mode"):
        if entry.has(name):
            remedy = "Write the value by itself: `x: 3`."
            entry.at(name).problem(f"A literal has no {name!r}.", remedy)
            return None
    if not isinstance(part.data, str | int | float | bool):
        part.wrong("text, a number or a boolean")
        return None
    if spec is not None and spec.is_data and not bindings(str(part.data)):
        part.wrong(f"data, for the input is declared {spec.type}", "Write {type: ..., path: ...}.")
        return None
    value = part.data if spec is None or spec.is_data else fitted(part, part.data, spec)
    return None if value is None else InputValue(value=value, description=description)


def read_outputs(part: Part, *, binds: bool) -> dict[str, OutputValue]:
    """What a job or step says of its outputs; an empty body leaves everything to Azure ML.

    Args:
        binds: bare text may stand for a path: the step of a pipeline binds its outputs so.
    """
    values: dict[str, OutputValue] = {}
    for name, entry in part.entries():
        _check_name(entry, name)
        if isinstance(entry.data, str):
            if binds and sole_binding(entry.data):
                values[name] = OutputValue(path=entry.data.strip())
            else:
                remedy = "Write {type: uri_folder}, and `path:` where it must lie somewhere."
                entry.wrong("a mapping", remedy)
        elif not entry.given:
            values[name] = OutputValue()
        elif entry.is_mapping():
            entry.fields(("type", "path", "mode", "name", "version", "description"))
            if entry.at("version").given and not entry.at("name").given:
                remedy = "Add `name:`, under which the output is registered."
                entry.at("version").problem("A version stands without a name.", remedy)
            values[name] = OutputValue(
                type=cast(
                    "InputType | None",
                    entry.choice("type", (*DATA, *LITERALS), aliases=_TYPE_ALIASES),
                ),
                path=entry.text("path"),
                mode=_output_mode(entry),
                name=entry.text("name"),
                version=entry.text("version"),
                description=entry.text("description") or "",
            )
    return values


def inferred_input(value: InputValue) -> InputSpec:
    """What a job without a declaration declares by giving ``value``, which is no binding."""
    if value.path is not None:
        return InputSpec(type=value.type or "uri_folder", mode=value.mode)
    return InputSpec(type=type_of("" if value.value is None else value.value))


def inferred_outputs(values: Mapping[str, OutputValue]) -> dict[str, OutputSpec]:
    """What a job without a declaration declares by naming its outputs."""
    return {
        name: OutputSpec(type=value.type or "uri_folder", mode=value.mode)
        for name, value in values.items()
    }


def _input_mode(entry: Part) -> InputMode | None:
    return cast(
        "InputMode | None", entry.choice("mode", get_args(InputMode), aliases=_MODE_ALIASES)
    )


def _output_mode(entry: Part) -> OutputMode | None:
    return cast("OutputMode | None", entry.choice("mode", get_args(OutputMode)))


def _check_name(entry: Part, name: str) -> None:
    if not _NAME.fullmatch(name):
        remedy = "Use letters, digits and underscores, and begin with a letter."
        entry.problem(f"{shown(name)} cannot be the name of an input or output.", remedy)
