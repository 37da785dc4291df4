"""What every component has, and components that run a program: commands, parallel tasks, Spark.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-component-command,
.../reference-yaml-component-spark and .../reference-yaml-job-parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_dagster.aml.job import (
    Component,
    ParallelComponent,
    SparkComponent,
)
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read import command, parallel, spark
from mlops_dagster.aml.read.binding_checks import check_command

FIELDS = (
    "name", "version", "display_name", "description", "tags", "properties", "type", "inputs",
    "outputs", "is_deterministic", "intellectual_property", "latest_version",
    "auto_delete_setting",
)  # fmt: skip
AZURE_ONLY_TYPES = (
    "automl", "data_transfer", "import", "finetuning", "distillation", "promptflow_parallel",
    "flow", "fl_scatter_gather",
)  # fmt: skip
# A new kind of program: a module beside this one, and a line in each of these tables.
PROGRAM_FIELDS = {"command": command.FIELDS, "parallel": parallel.FIELDS, "spark": spark.FIELDS}
_READERS: dict[str, Callable[[Node, dict[str, Any]], Component]] = {
    "command": command.read_command,
    "parallel": parallel.read_parallel,
    "spark": spark.read_spark,
}
# What a job, component or step without a type is by a field of its own.
_IMPLIED_TYPES = {"jobs": "pipeline", "task": "parallel", "entry": "spark", "trial": "sweep"}


def component_type(node: Node) -> str | None:
    """The ``type`` of a component; where it is left out, the one that its fields imply."""
    if not node.at("type").is_set:
        return implied_type(node)
    return node.choice("type", (*PROGRAM_FIELDS, "pipeline", *AZURE_ONLY_TYPES))


def implied_type(node: Node) -> str:
    """The type of a job, component or step that does not name its own."""
    return next((kind for field, kind in _IMPLIED_TYPES.items() if node.has(field)), "command")


def read_program(node: Node, kind: str, common: dict[str, Any], *, declared: bool) -> Component:
    """A component that runs a program: a command, a parallel task or a Spark application.

    Args:
        declared: it declares its inputs; the fields of a job or step are checked elsewhere.
    """
    if declared:
        node.check_fields((*FIELDS, *PROGRAM_FIELDS[kind]), closed=False)
    found = _READERS[kind](node, common)
    if declared:
        check_program_bindings(node, found, declared=True)
    return found


def check_program_bindings(
    node: Node,
    component: Component,
    *,
    declared: bool,
    search_space: dict[str, Any] | None = None,
) -> None:
    """Add a mistake for each binding in a component's command or arguments that nothing declares."""
    if isinstance(component, ParallelComponent):
        parallel.check_parallel(node, component, declared=declared)
        return
    check_command(
        node.at("args" if isinstance(component, SparkComponent) else "command"),
        component.inputs,
        component.outputs,
        declared=declared,
        search_space=search_space,
    )


def read_common_fields(node: Node) -> dict[str, Any]:
    """The fields that every component has, but for its inputs and outputs."""
    return {
        "name": node.text("name"),
        "version": node.text("version"),
        "display_name": node.text("display_name"),
        "description": node.text("description") or "",
        "tags": node.labels("tags"),
        "properties": node.labels("properties"),
        "is_deterministic": node.boolean("is_deterministic", default=True),
    }
