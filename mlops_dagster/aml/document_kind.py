"""What an Azure ML YAML file describes: a job, a component, a data asset, an endpoint ..."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_dagster.aml.document import Document, read_document
from mlops_dagster.aml.read.assets import COMPUTE_TYPES
from mlops_dagster.aml.types import DATA_TYPES, MODEL_TYPES
from mlops_dagster.errors import Problem

# The first that the name of the schema holds counts; the kinds that are not read here are "other".
_SCHEMAS = {
    "deployment": ("other", "a deployment"),
    "endpoint": ("other", "an endpoint"),
    "workspace": ("other", "a workspace"),
    "registry": ("other", "a registry"),
    "connection": ("other", "a connection"),
    "schedule": ("schedule", "a schedule"),
    "component": ("component", "a component"),
    "job": ("job", "a job"),
    "environment": ("environment", "an environment"),
    "compute": ("compute", "a compute target"),
    "datastore": ("other", "a datastore"),
    "model": ("model", "a model"),
    "data.": ("data", "a data asset"),
    "flow": ("other", "a flow of prompt flow"),
}
_NAMES = {kind: name for kind, name in _SCHEMAS.values() if kind != "other"}
# What a file without a schema is by a field of its own.
_FIELDS = {
    "endpoint_name": "a deployment",
    "auth_mode": "an endpoint",
    "account_name": "a datastore",
    "dependencies": "a conda specification",
}
# Fields of endpoints, deployments, datastores and conda specifications.
_OTHER_KINDS_FIELDS = {
    "endpoint_name", "auth_mode", "account_name", "dependencies", "code_configuration",
    "instance_type", "scoring_script", "traffic", "model", "scale_settings",
}  # fmt: skip


def kind_of(path: Path) -> str:
    """``job``, ``component``, ``data``, ``model``, ``environment``, ``compute``, ``schedule``,
    or ``other``.

    By the ``$schema`` where there is one, else by the fields. Raises InvalidDocument.
    """
    return _kind_and_name(read_document(path).data)[0]


def other_kind_problem(document: Document, expected: str) -> Problem | None:
    """That a document describes something else than the ``expected`` kind; None where it may."""
    kind, name = _kind_and_name(document.data)
    programs = {"job", "component"}  # without a schema they cannot be told apart for certain
    if name is None or kind == expected or {kind, expected} <= programs:
        return None
    field = next((key for key in ("$schema", "type") if key in document.data), None)
    message = f"This is {name}; {_NAMES[expected]} is expected."
    return document.problem((field,) if field else (), message)


def _kind_and_name(data: dict[Any, Any]) -> tuple[str, str | None]:
    """The kind of a document, and its name with an article; None where nothing names it."""
    schema = str(data.get("$schema", "")).rpartition("/")[2].lower()
    for mark, found in _SCHEMAS.items():
        if mark in schema:
            return found
    kind = _kind_by_fields(data)
    if kind == "other":
        return kind, next((name for field, name in _FIELDS.items() if field in data), None)
    return kind, _NAMES[kind]


def _kind_by_fields(data: dict[Any, Any]) -> str:
    kind = data.get("type")
    if "trigger" in data and {"create_job", "import_data", "create_monitor"} & data.keys():
        return "schedule"
    if isinstance(kind, str) and kind.lower() in COMPUTE_TYPES:
        return "compute"
    if kind in DATA_TYPES:
        return "data"
    if kind in MODEL_TYPES:
        return "model"
    if _OTHER_KINDS_FIELDS & data.keys():
        return "other"
    if {"conda_file", "image", "build"} & data.keys() and not {"command", "task"} & data.keys():
        return "environment"
    if {"command", "jobs", "trial", "task", "entry", "component", "environment"} & data.keys():
        return "component" if _looks_like_component(data) else "job"
    return "other"


def _looks_like_component(data: dict[Any, Any]) -> bool:
    """Whether a document without ``$schema`` is a component: its inputs have no values."""
    if {"compute", "experiment_name", "settings", "trial", "component"} & data.keys():
        return False
    inputs = data.get("inputs")
    entries = list(inputs.values()) if isinstance(inputs, dict) else []
    if entries:
        return all(
            isinstance(entry, dict) and "type" in entry and not {"path", "value"} & entry.keys()
            for entry in entries
        )
    return "name" in data and bool({"version", "is_deterministic"} & data.keys())
