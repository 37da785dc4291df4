"""Spark applications.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-spark
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_dagster.aml.bindings import bindings
from mlops_dagster.aml.document import is_file, is_folder, shown
from mlops_dagster.aml.job import SparkComponent
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.command import read_code, read_environment_variables, read_resources
from mlops_dagster.aml.read.environment import read_environment

SETTINGS = (
    "entry", "py_files", "jars", "files", "archives", "conf", "args", "environment", "resources",
    "environment_variables",
)  # fmt: skip
FIELDS = ("code", "additional_includes", *SETTINGS)


def read_spark(part: Part, common: dict[str, Any]) -> SparkComponent:
    """A Spark application, with the fields that every component has in ``common``."""
    entry = part.required("entry")
    code = read_code(part.at("code"))
    settings = read_settings(part)
    script = entry.at("file")
    name = script.as_text()
    if name and code and not bindings(name) and is_folder(code) and not is_file(Path(code) / name):
        script.problem(f"There is no {shown(name)} in {code}.", "Name a file of the code folder.")
    return SparkComponent(**common, code=code, **settings)


def read_settings(part: Part) -> dict[str, Any]:
    """The settings that are given; a step's win over its component's."""
    settings: dict[str, Any] = {
        "entry": _entry(part.at("entry")),
        "conf": _configuration(part),
        "args": part.text("args"),
        "environment": read_environment(part.at("environment")),
        "resources": read_resources(part.at("resources")),
        "environment_variables": read_environment_variables(part),
    }
    for name in ("py_files", "jars", "files", "archives"):
        settings[name] = part.texts(name)
        for item in part.items(name):
            if [other.data for other in part.items(name)].count(item.data) > 1:
                item.problem(f"{shown(item.data)} stands here more than once.")
    return {name: value for name, value in settings.items() if part.at(name).given}


def _entry(part: Part) -> dict[str, str]:
    if not part.is_mapping():
        return {}
    part.fields(("file", "class_name", "spark_job_entry_type"))
    entry = {name: text for name in ("file", "class_name") if (text := part.text(name))}
    if len(entry) != 1:
        part.problem("Expected `file:` or `class_name:`, one of them.")
    return entry


def _configuration(part: Part) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for name, entry in part.entries("conf"):
        if isinstance(entry.data, str | int | float | bool):
            found[name] = entry.data
        elif entry.given:
            entry.wrong("text, a number or a boolean")
    return found
