"""What every component has, and components that run a program: commands, parallel tasks, Spark.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-component-command,
.../reference-yaml-component-spark and .../reference-yaml-job-parallel.
"""

from __future__ import annotations

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
_KINDS = ("command", "parallel", "spark", "pipeline")


def component_type(node: Node) -> str | None:
    """The ``type`` of a component or step; where it is left out, the one that its fields imply."""
    if not node.at("type").is_set:
        guesses = {"jobs": "pipeline", "task": "parallel", "entry": "spark", "trial": "sweep"}
        return next((kind for field, kind in guesses.items() if node.has(field)), "command")
    return node.choice("type", (*_KINDS, *AZURE_ONLY_TYPES))


def read_program(node: Node, kind: str, common: dict[str, Any], *, declared: bool) -> Component:
    """A component that runs a program: a command, a parallel task or a Spark application.

    Args:
        declared: it declares its inputs; the fields of a job or step are checked elsewhere.
    """
    fields = {"command": command.FIELDS, "parallel": parallel.FIELDS, "spark": spark.FIELDS}[kind]
    if declared:
        node.check_fields((*FIELDS, *fields), closed=False)
    found: Component
    match kind:
        case "parallel":
            found = parallel.read_parallel(node, common)
        case "spark":
            found = spark.read_spark(node, common)
        case _:
            found = command.read_command(node, common)
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
