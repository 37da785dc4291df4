"""Environments: a reference, a file, or a description in place.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-environment
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.document import is_file, is_folder, shown
from mlops_dagster.aml.environment import BuildContext, Environment
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.references import LocalPath, Url, parse_reference, resolved

FIELDS = (
    "name", "version", "description", "tags", "properties", "build", "image", "conda_file",
    "inference_config", "os_type", "datastore", "intellectual_property", "auto_delete_setting",
    "latest_version", "stage",
)  # fmt: skip


def read_environment(part: Part) -> Environment | None:
    """An environment as a job or component names or describes it; None where there is none."""
    if isinstance(part.data, str):
        return _named(part, part.data.strip())
    if not part.is_mapping():
        return None
    return describe_environment(part)


def _named(part: Part, text: str) -> Environment | None:
    if sole_binding(text):
        return Environment(reference=text)
    reference = parse_reference(text)
    if text.lower().startswith("file:"):
        path = Path(resolved(text, part.folder))
        if not is_file(path):
            part.problem(f"There is no file {path}.", "Check the path after `file:`.")
            return None
        document = part.reading.document(path)
        return None if document is None else describe_environment(Part.root(document, part.reading))
    if isinstance(reference, LocalPath | Url):
        remedy = (
            "Write azureml:NAME:VERSION for a registered environment, file:PATH for a file, or a "
            "mapping with `image:` for an image."
        )
        part.problem(f"Found {shown(text)}, which names no environment.", remedy)
        return None
    return Environment(reference=text)


def describe_environment(part: Part) -> Environment:
    """An environment that is described here."""
    for name in ("channels", "dependencies"):
        if part.has(name):
            remedy = "Put it into a conda file and name that file as `conda_file:`."
            part.at(name).problem(f"{name!r} belongs into a conda specification.", remedy)
    part.fields((*FIELDS, "channels", "dependencies"))
    conda, conda_file = _conda(part.at("conda_file"))
    if part.at("image").given and part.at("build").given:
        part.at("build").problem("An environment has an image or a build context, not both.")
    return Environment(
        name=part.text("name"),
        version=part.text("version"),
        description=part.text("description") or "",
        image=part.text("image"),
        build=_build(part.at("build")),
        conda=conda,
        conda_file=conda_file,
        os_type=part.choice("os_type", ("linux", "windows")),
        inference_config=part.mapping("inference_config") or None,
        tags=part.labels("tags"),
        properties=part.labels("properties"),
    )


def _build(part: Part) -> BuildContext | None:
    if not part.is_mapping():
        return None
    part.fields(("path", "dockerfile_path"))
    path = part.required("path").as_text()
    if path is None:
        return None
    if isinstance(parse_reference(path), LocalPath):
        folder = Path(resolved(path, part.folder))
        if not is_folder(folder):
            part.at("path").problem(f"There is no folder {folder}.", "Check the path.")
        path = str(folder)
    return BuildContext(path=path, dockerfile_path=part.text("dockerfile_path") or "Dockerfile")


def _conda(part: Part) -> tuple[dict[str, Any] | None, Path | None]:
    if not part.given:
        return None, None
    if isinstance(part.data, dict):
        return _specification(part), None
    if not isinstance(part.data, str):
        part.wrong("a path or a conda specification")
        return None, None
    path = Path(resolved(part.data, part.folder))
    if not is_file(path):
        part.problem(f"There is no file {path}.", "Check the path; it starts from this file.")
        return None, None
    document = part.reading.document(path)
    if document is None:
        return None, path
    return _specification(Part.root(document, part.reading)), path


def _specification(part: Part) -> dict[str, Any]:
    for item in part.items("dependencies"):
        if isinstance(item.data, dict):
            for _, packages in item.entries():
                if not isinstance(packages.data, list | None):
                    packages.wrong("a list of packages")
        elif not isinstance(item.data, str):
            item.wrong("a package, or `pip:` with a list of them")
    return {name: entry.data for name, entry in part.entries()}
