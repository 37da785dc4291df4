"""Components: in files of their own, in place, or registered elsewhere.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-component-pipeline
"""

from __future__ import annotations

import re
from pathlib import Path

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.document import is_file, short_repr
from mlops_dagster.aml.job import (
    Component,
    ComponentReference,
    UnsupportedComponent,
)
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.inputs_outputs import read_input_specs, read_output_specs
from mlops_dagster.aml.read.pipeline import FIELDS as PIPELINE
from mlops_dagster.aml.read.pipeline import read_steps
from mlops_dagster.aml.read.program import (
    AZURE_ONLY_TYPES,
    FIELDS,
    component_type,
    read_common_fields,
    read_program,
)
from mlops_dagster.aml.references import (
    LocalPath,
    Registered,
    RegistryAsset,
    parse_reference,
    resolve_path,
)

_NAME = re.compile(r"[a-z][a-z\d_]*")


def read_component(
    node: Node, *, source: Path | None = None, named: bool = False
) -> Component | None:
    """A component that is described here.

    Args:
        source: the file, where it has one of its own.
        named: it is to be registered, and so must have a name.
    """
    kind = component_type(node)
    if kind is None:
        return None
    if kind in AZURE_ONLY_TYPES:
        return UnsupportedComponent(
            kind=kind, name=_text(node, "name"), body=node.mapping(), source=source
        )
    if named:
        _check_name(node)
    common = read_common_fields(node)
    common |= {
        "inputs": read_input_specs(node.at("inputs")),
        "outputs": read_output_specs(node.at("outputs")),
        "source": source,
    }
    if kind == "pipeline":
        node.check_fields((*FIELDS, *PIPELINE), closed=False)
        return read_steps(node, common, read_component_at)
    return read_program(node, kind, common, declared=True)


def read_component_at(node: Node) -> Component | None:
    """What a step's ``component`` or ``trial`` names: a file, a registered one, or it is here."""
    if isinstance(node.data, dict):
        return read_component(node)
    text = node.data.strip() if isinstance(node.data, str) else ""
    if not text or sole_binding(text):
        node.add_mismatch("a component's file, `azureml:NAME:VERSION`, or a component")
        return None
    match parse_reference(text):
        case Registered() | RegistryAsset():
            return ComponentReference(reference=text)
        case LocalPath():
            return _from_file(node, Path(resolve_path(text, node.folder)))
        case _:
            remedy = "Write a path, or azureml:NAME:VERSION."
            node.add_problem(f"Found {short_repr(text)}, which names no component.", remedy)
            return None


def _from_file(node: Node, path: Path) -> Component | None:
    session = node.session
    if path in session.components:
        return session.components[path]  # type: ignore[no-any-return]  # only components are kept
    if path in session.open_files:
        chain = " -> ".join(
            file.name for file in (*session.open_files[session.open_files.index(path) :], path)
        )
        node.add_problem(f"The component contains itself: {chain}.", "Take it out of one of them.")
        return None
    if not is_file(path):
        node.add_problem(
            f"There is no file {path}.", f"The path starts from {node.document.path.name}."
        )
        return None
    document = session.document(path)
    if document is None:
        return None
    session.open_files.append(path)
    try:
        component = read_component(Node.root(document, session), source=path)
    finally:
        session.open_files.pop()
    if component is not None:
        session.components[path] = component
    return component


def _check_name(node: Node) -> None:
    name = node.required("name").as_text()
    if name is not None and not _NAME.fullmatch(name):
        remedy = "Use lower-case letters, digits and underscores, and begin with a letter."
        node.at("name").add_problem(f"{short_repr(name)} cannot be a component's name.", remedy)


def _text(node: Node, key: str) -> str | None:
    return node.data[key] if isinstance(node.at(key).data, str) else None
