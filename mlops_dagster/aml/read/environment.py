"""Environments: a reference, a file, or a description in place.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-environment
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.document import is_file, is_folder, short_repr
from mlops_dagster.aml.environment import BuildContext, Environment
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.references import LocalPath, Url, parse_reference, resolve_path

FIELDS = (
    "name", "version", "description", "tags", "properties", "build", "image", "conda_file",
    "inference_config", "os_type", "datastore", "intellectual_property", "auto_delete_setting",
    "latest_version", "stage",
)  # fmt: skip


def read_environment(node: Node) -> Environment | None:
    """An environment as a job or component names or describes it; None where there is none."""
    if isinstance(node.data, str):
        return _environment_by_name(node, node.data.strip())
    if not node.expect_mapping():
        return None
    return describe_environment(node)


def _environment_by_name(node: Node, text: str) -> Environment | None:
    if sole_binding(text):
        return Environment(reference=text)
    reference = parse_reference(text)
    if text.lower().startswith("file:"):
        path = Path(resolve_path(text, node.folder))
        if not is_file(path):
            node.add_problem(f"There is no file {path}.", "Check the path after `file:`.")
            return None
        document = node.session.document(path)
        return None if document is None else describe_environment(Node.root(document, node.session))
    if isinstance(reference, LocalPath | Url):
        remedy = (
            "Write azureml:NAME:VERSION for a registered environment, file:PATH for a file, or a "
            "mapping with `image:` for an image."
        )
        node.add_problem(f"Found {short_repr(text)}, which names no environment.", remedy)
        return None
    return Environment(reference=text)


def describe_environment(node: Node) -> Environment:
    """An environment that is described here."""
    for name in ("channels", "dependencies"):
        if node.has(name):
            remedy = "Put it into a conda file and name that file as `conda_file:`."
            node.at(name).add_problem(f"{name!r} belongs into a conda specification.", remedy)
    node.check_fields((*FIELDS, "channels", "dependencies"))
    conda, conda_file = _conda(node.at("conda_file"))
    if node.at("image").is_set and node.at("build").is_set:
        node.at("build").add_problem("An environment has an image or a build context, not both.")
    return Environment(
        name=node.text("name"),
        version=node.text("version"),
        description=node.text("description") or "",
        image=node.text("image"),
        build=_build(node.at("build")),
        conda=conda,
        conda_file=conda_file,
        os_type=node.choice("os_type", ("linux", "windows")),
        inference_config=node.mapping("inference_config") or None,
        tags=node.labels("tags"),
        properties=node.labels("properties"),
    )


def _build(node: Node) -> BuildContext | None:
    if not node.expect_mapping():
        return None
    node.check_fields(("path", "dockerfile_path"))
    path = node.required("path").as_text()
    if path is None:
        return None
    if isinstance(parse_reference(path), LocalPath):
        folder = Path(resolve_path(path, node.folder))
        if not is_folder(folder):
            node.at("path").add_problem(f"There is no folder {folder}.", "Check the path.")
        path = str(folder)
    return BuildContext(path=path, dockerfile_path=node.text("dockerfile_path") or "Dockerfile")


def _conda(node: Node) -> tuple[dict[str, Any] | None, Path | None]:
    if not node.is_set:
        return None, None
    if isinstance(node.data, dict):
        return _specification(node), None
    if not isinstance(node.data, str):
        node.add_mismatch("a path or a conda specification")
        return None, None
    path = Path(resolve_path(node.data, node.folder))
    if not is_file(path):
        node.add_problem(f"There is no file {path}.", "Check the path; it starts from this file.")
        return None, None
    document = node.session.document(path)
    if document is None:
        return None, path
    return _specification(Node.root(document, node.session)), path


def _specification(node: Node) -> dict[str, Any]:
    for item in node.items("dependencies"):
        if isinstance(item.data, dict):
            for _, packages in item.entries():
                if not isinstance(packages.data, list | None):
                    packages.add_mismatch("a list of packages")
        elif not isinstance(item.data, str):
            item.add_mismatch("a package, or `pip:` with a list of them")
    return {name: entry.data for name, entry in node.entries()}
