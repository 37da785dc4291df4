"""What Azure ML's own loader (azure-ai-ml) says of a YAML file; offline, without a workspace."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlops_dagster.aml import kind_of
from mlops_dagster.aml.document import Document, Loc, read_document
from mlops_dagster.errors import InvalidDocument, Problem

# The function of azure.ai.ml for a kind of file; schedules are read by one that is not exported.
_LOADERS = {
    "job": "load_job",
    "component": "load_component",
    "data": "load_data",
    "model": "load_model",
    "environment": "load_environment",
    "compute": "load_compute",
}
# For the kinds that `kind_of` calls other, by what the name of their schema holds.
_OTHERS = {
    "onlineendpoint": "load_online_endpoint",
    "batchendpoint": "load_batch_endpoint",
    "onlinedeployment": "load_online_deployment",
    "batchdeployment": "load_batch_deployment",
    "azureblob": "load_datastore",
    "azurefile": "load_datastore",
    "azuredatalakegen": "load_datastore",
}
_SAME = "_schema"  # marshmallow's name for a mistake of the whole mapping


def is_installed() -> bool:
    """Whether the official loader is there; asking does not import it."""
    try:
        return find_spec("azure.ai.ml") is not None
    except ModuleNotFoundError:
        return False


def official_problems(file: Path) -> list[Problem]:
    """What the official loader refuses the file for; empty where it takes it, or has no loader."""
    try:
        document = read_document(file)
        loader = _loader_of(document)
    except InvalidDocument as error:
        return list(error.problems)
    if loader is None:
        return []
    # It warns of experimental classes and prints hints for a terminal; neither is a mistake.
    logging.getLogger("azure.ai.ml").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        import azure.ai.ml

        try:
            getattr(azure.ai.ml, loader)(str(file))
        except Exception as error:  # noqa: BLE001 - it raises errors of several libraries
            return _problems(document, str(error) or type(error).__name__)
    return []


def _loader_of(document: Document) -> str | None:
    kind = kind_of(document.path)
    if kind != "other":
        return _LOADERS.get(kind)
    schema = str(document.data.get("$schema", "")).rpartition("/")[2].lower()
    return next((loader for part, loader in _OTHERS.items() if part in schema), None)


def _problems(document: Document, answer: str) -> list[Problem]:
    """The loader's message, a problem a field where it is the JSON that it mostly is."""
    found = list(_mistakes((), _json_in(answer)))
    if not found:
        first = answer.strip().partition("\n\n")[0]
        found = [((), " ".join(first.split()))]
    return [document.problem(loc, f"azure-ai-ml: {text}") for loc, text in dict.fromkeys(found)]


def _mistakes(loc: Loc, value: Any) -> Iterator[tuple[Loc, str]]:
    """Every message in an answer of the loader, with the field that it is about."""
    if isinstance(value, str):
        inner = _json_in(value)
        if inner is None:
            yield loc, value
        else:
            yield from _mistakes(loc, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _mistakes(loc, item)
    elif isinstance(value, dict) and "errors" in value:
        for error in value["errors"]:
            path = [part for part in str(error.get("path", "")).split(".") if part not in ("", "*")]
            yield from _mistakes((*loc, *path), error.get("message", ""))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _mistakes(loc if key in (_SAME, "value") else (*loc, str(key)), item)


def _json_in(text: str) -> Any:
    """The JSON object within a message; None where it holds none."""
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[start : end + 1]) if "failed:" in text[:start] else None
    except ValueError:
        return None
