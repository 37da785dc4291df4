"""Components: in files of their own, in place, or registered elsewhere.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-component-pipeline
"""

from __future__ import annotations

import re
from pathlib import Path

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.document import is_file, shown
from mlops_dagster.aml.job import (
    Component,
    ComponentReference,
    UnsupportedComponent,
)
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.ios import read_input_specs, read_output_specs
from mlops_dagster.aml.read.pipeline import FIELDS as PIPELINE
from mlops_dagster.aml.read.pipeline import read_steps
from mlops_dagster.aml.read.program import FIELDS, UNSUPPORTED, kind_of, read_common, read_leaf
from mlops_dagster.aml.references import (
    LocalPath,
    Registered,
    RegistryAsset,
    parse_reference,
    resolved,
)

_NAME = re.compile(r"[a-z][a-z\d_]*")


def read_component(
    part: Part, *, source: Path | None = None, named: bool = False
) -> Component | None:
    """A component that is described here.

    Args:
        source: the file, where it has one of its own.
        named: it is to be registered, and so must have a name.
    """
    kind = kind_of(part)
    if kind is None:
        return None
    if kind in UNSUPPORTED:
        return UnsupportedComponent(
            kind=kind, name=_text(part, "name"), body=part.mapping(), source=source
        )
    if named:
        _check_name(part)
    common = read_common(part)
    common |= {
        "inputs": read_input_specs(part.at("inputs")),
        "outputs": read_output_specs(part.at("outputs")),
        "source": source,
    }
    if kind == "pipeline":
        part.fields((*FIELDS, *PIPELINE), closed=False)
        return read_steps(part, common, read_component_at)
    return read_leaf(part, kind, common, declared=True)


def read_component_at(part: Part) -> Component | None:
    """What a step's ``component`` or ``trial`` names: a file, a registered one, or it is here."""
    if isinstance(part.data, dict):
        return read_component(part)
    text = part.data.strip() if isinstance(part.data, str) else ""
    if not text or sole_binding(text):
        part.wrong("a component's file, `azureml:NAME:VERSION`, or a component")
        return None
    match parse_reference(text):
        case Registered() | RegistryAsset():
            return ComponentReference(reference=text)
        case LocalPath():
            return _from_file(part, Path(resolved(text, part.folder)))
        case _:
            remedy = "Write a path, or azureml:NAME:VERSION."
            part.problem(f"Found {shown(text)}, which names no component.", remedy)
            return None


def _from_file(part: Part, path: Path) -> Component | None:
    reading = part.reading
    if path in reading.made:
        return reading.made[path]  # type: ignore[no-any-return]  # only components are kept
    if path in reading.opened:
        chain = " -> ".join(
            file.name for file in (*reading.opened[reading.opened.index(path) :], path)
        )
        part.problem(f"The component contains itself: {chain}.", "Take it out of one of them.")
        return None
    if not is_file(path):
        part.problem(
            f"There is no file {path}.", f"The path starts from {part.document.path.name}."
        )
        return None
    document = reading.document(path)
    if document is None:
        return None
    reading.opened.append(path)
    try:
        component = read_component(Part.root(document, reading), source=path)
    finally:
        reading.opened.pop()
    if component is not None:
        reading.made[path] = component
    return component


def _check_name(part: Part) -> None:
    name = part.required("name").as_text()
    if name is not None and not _NAME.fullmatch(name):
        remedy = "Use lower-case letters, digits and underscores, and begin with a letter."
        part.at("name").problem(f"{shown(name)} cannot be a component's name.", remedy)


def _text(part: Part, key: str) -> str | None:
    return part.data[key] if isinstance(part.at(key).data, str) else None
