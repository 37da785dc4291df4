"""Pandera's YAML, read for display without importing Pandera or pandas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_dagster.aml.document import Document, read_document
from mlops_dagster.errors import InvalidDocument, Problem
from mlops_dagster.project.project import Column, TableSchema


def read_table_schema(file: Path) -> TableSchema:
    """Read a schema that ``pandera.io.to_yaml`` wrote, or one written by hand in its form.

    Source: https://pandera.readthedocs.io/en/stable/schema_inference.html (YAML serialization).
    Raises InvalidDocument where the file is missing or has no ``columns``.
    """
    document = read_document(file)
    columns = document.data.get("columns")
    if not isinstance(columns, dict) or not columns:
        remedy = "Write columns: with a mapping of each column's name to dtype, nullable, checks."
        raise InvalidDocument([document.problem((), "This schema has no columns.", remedy)])
    problems = [
        problem
        for name, body in columns.items()
        if (problem := _column_problem(document, name, body))
    ]
    if problems:
        raise InvalidDocument(problems)
    return TableSchema(file, tuple(_column(str(name), body) for name, body in columns.items()))


def _column_problem(document: Document, name: Any, body: Any) -> Problem | None:
    loc = ("columns", str(name))
    if not isinstance(body, dict):
        return document.problem(loc, "A mapping of dtype, nullable, checks ... is expected.")
    if not isinstance(body.get("dtype", ""), str | None):
        return document.problem((*loc, "dtype"), f"Found {body['dtype']!r}; expected text.")
    if not isinstance(body.get("checks") or {}, dict | list):
        return document.problem((*loc, "checks"), "A mapping or list of checks is expected.")
    return None


def _column(name: str, body: Mapping[str, Any]) -> Column:
    return Column(
        name=name,
        dtype=body.get("dtype") or "any",
        nullable=bool(body.get("nullable", False)),
        unique=bool(body.get("unique", False)),
        required=bool(body.get("required", True)),
        description=str(body.get("description") or body.get("title") or ""),
        checks=tuple(_checks(body.get("checks") or {})),
    )


def _checks(checks: Any) -> list[str]:
    """Each check in words, from the two forms: by name, or a list whose options hold the name."""
    if isinstance(checks, dict):
        return [f"{name} {_arguments(value)}".strip() for name, value in checks.items()]
    descriptions = []
    for check in checks:
        if not isinstance(check, dict):
            descriptions.append(str(check))
            continue
        name = (check.get("options") or {}).get("check_name", "check")
        descriptions.append(f"{name} {_arguments(check)}".strip())
    return descriptions


def _arguments(value: Any) -> str:
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    arguments = {key: inner for key, inner in value.items() if key != "options"}
    if set(arguments) == {"value"}:
        return str(arguments["value"])
    return ", ".join(f"{key}={inner}" for key, inner in arguments.items())
