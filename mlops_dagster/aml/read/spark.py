"""Spark applications.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-spark
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_dagster.aml.bindings import bindings
from mlops_dagster.aml.document import is_file, is_folder, short_repr
from mlops_dagster.aml.job import SparkComponent
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.command import read_code, read_environment_variables, read_resources
from mlops_dagster.aml.read.environment import read_environment

SETTINGS = (
    "entry", "py_files", "jars", "files", "archives", "conf", "args", "environment", "resources",
    "environment_variables",
)  # fmt: skip
FIELDS = ("code", "additional_includes", *SETTINGS)


def read_spark(node: Node, common: dict[str, Any]) -> SparkComponent:
    """A Spark application, with the fields that every component has in ``common``."""
    entry = node.required("entry")
    code = read_code(node.at("code"))
    settings = read_settings(node)
    script = entry.at("file")
    name = script.as_text()
    if name and code and not bindings(name) and is_folder(code) and not is_file(Path(code) / name):
        script.add_problem(
            f"There is no {short_repr(name)} in {code}.", "Name a file of the code folder."
        )
    return SparkComponent(**common, code=code, **settings)


def read_settings(node: Node) -> dict[str, Any]:
    """The settings that are given; a step's win over its component's."""
    settings: dict[str, Any] = {
        "entry": _entry(node.at("entry")),
        "conf": _configuration(node),
        "args": node.text("args"),
        "environment": read_environment(node.at("environment")),
        "resources": read_resources(node.at("resources")),
        "environment_variables": read_environment_variables(node),
    }
    for name in ("py_files", "jars", "files", "archives"):
        settings[name] = node.texts(name)
        for item in node.items(name):
            if [other.data for other in node.items(name)].count(item.data) > 1:
                item.add_problem(f"{short_repr(item.data)} stands here more than once.")
    return {name: value for name, value in settings.items() if node.at(name).is_set}


def _entry(node: Node) -> dict[str, str]:
    if not node.expect_mapping():
        return {}
    node.check_fields(("file", "class_name", "spark_job_entry_type"))
    entry = {name: text for name in ("file", "class_name") if (text := node.text(name))}
    if len(entry) != 1:
        node.add_problem("Expected `file:` or `class_name:`, one of them.")
    return entry


def _configuration(node: Node) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for name, entry in node.entries("conf"):
        if isinstance(entry.data, str | int | float | bool):
            found[name] = entry.data
        elif entry.is_set:
            entry.add_mismatch("text, a number or a boolean")
    return found
