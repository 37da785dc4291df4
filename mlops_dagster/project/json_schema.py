"""The JSON schema of ``project.yaml``, by which an editor completes and checks it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel

from mlops_dagster.project.project_yaml import InputDeclaration, ProjectDeclaration

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def project_schema() -> dict[str, Any]:
    """The schema, with what each field means; it takes every file that ``read_project`` takes.

    What fields mean together (an output that exists, exactly one of two) only ``mlops check`` sees.
    """
    schema = ProjectDeclaration.model_json_schema(by_alias=True)
    parts = {"": schema, **schema.get("$defs", {})}
    for model in _models(ProjectDeclaration):
        part = parts["" if model is ProjectDeclaration else model.__name__]
        part["description"] = _summary(model)
        part.pop("title", None)
        meanings = _meanings(model)
        for name, field in model.model_fields.items():
            described = part["properties"][field.alias or name]
            described.pop("title", None)
            if name in meanings:
                described["description"] = meanings[name]
            # An editor writes a default into the file: as a person would, or not at all.
            if isinstance(field.default, timedelta):
                described["default"] = f"{field.default.total_seconds():.0f} seconds"
            elif not isinstance(field.default, str | int | float):
                described.pop("default", None)
    # A name alone stands for a product or model.
    declared = parts[InputDeclaration.__name__]
    named = {key: declared.pop(key) for key in list(declared)}
    named["properties"].pop("name")
    declared["anyOf"] = [{"type": "string"}, named]
    return {"$schema": DIALECT, "title": "project.yaml", **schema}


def _models(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models that a model consists of, itself first, each once."""
    seen: list[type[BaseModel]] = []

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation not in seen:
                seen.append(annotation)
                for field in annotation.model_fields.values():
                    visit(field.annotation)
            return
        for argument in get_args(annotation):
            visit(argument)

    visit(root)
    yield from seen


def _summary(model: type[BaseModel]) -> str:
    """The first paragraph of a docstring."""
    return " ".join(_plain(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0]).split())


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the ``Attributes:`` of a docstring say of each field; one entry may name several."""
    _, _, attributes = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return {
        name.strip(): " ".join(_plain(text).split())
        for names, text in entries
        for name in names.split(",")
    }


def _plain(text: str) -> str:
    """Text without the marks of code, and without Python's word for a field that is not there."""
    return re.sub(r"\bNone\b", "left out", text.replace("``", ""))
