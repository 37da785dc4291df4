"""Parallel tasks: an entry script that is fed mini batches.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.document import is_file, is_folder, short_repr
from mlops_dagster.aml.job import ParallelComponent, ParallelTask, RetrySettings
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.binding_checks import check_command
from mlops_dagster.aml.read.command import read_code, read_environment_variables, read_resources
from mlops_dagster.aml.read.environment import read_environment
from mlops_dagster.errors import suggest

SETTINGS = (
    "logging_level", "mini_batch_size", "partition_keys", "input_data", "resources",
    "retry_settings", "max_concurrency_per_instance", "error_threshold",
    "mini_batch_error_threshold", "environment_variables",
)  # fmt: skip
FIELDS = ("task", "environment", "code", *SETTINGS)
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kmgt]?b?)", re.IGNORECASE)


def read_parallel(node: Node, common: dict[str, Any]) -> ParallelComponent:
    """A parallel task, with the fields that every component has in ``common``."""
    task = _task(node.required("task"), node)
    return ParallelComponent(**common, task=task, **read_settings(node))


def read_settings(node: Node) -> dict[str, Any]:
    """The settings that are given; a step's win over its component's."""
    settings: dict[str, Any] = {
        "input_data": node.text("input_data"),
        "mini_batch_size": _mini_batch_size(node.at("mini_batch_size")),
        "partition_keys": node.texts("partition_keys"),
        "mini_batch_error_threshold": _at_least(node, "mini_batch_error_threshold", -1),
        "error_threshold": _at_least(node, "error_threshold", -1),
        "max_concurrency_per_instance": _at_least(node, "max_concurrency_per_instance", 1),
        "retry_settings": _retries(node.at("retry_settings")),
        "logging_level": node.choice(
            "logging_level", ("DEBUG", "INFO", "WARNING"), aliases={"warn": "WARNING"}
        ),
        "environment_variables": read_environment_variables(node),
        "resources": read_resources(node.at("resources")),
    }
    return {
        name: value
        for name, value in settings.items()
        if node.at(name).is_set and value is not None
    }


def _task(node: Node, around: Node) -> ParallelTask:
    if not node.expect_mapping():
        return ParallelTask()
    node.check_fields(
        ("type", "code", "entry_script", "program_arguments", "model", "append_row_to",
         "environment"),
        closed=False,
    )  # fmt: skip
    kind = node.choice("type", ("run_function", "function", "model"))
    node.required("type")
    # A step may name code and environment beside its task.
    code = node.at("code") if node.at("code").is_set else around.at("code")
    environment = (
        node.at("environment") if node.at("environment").is_set else around.at("environment")
    )
    if not environment.is_set:
        node.required("environment")
    folder = read_code(code)
    script = node.at("entry_script")
    if kind != "model":
        script = node.required("entry_script")
        _check_script(script, folder)
    return ParallelTask(
        type=kind or "run_function",
        code=folder,
        entry_script=script.as_text(),
        program_arguments=node.text("program_arguments"),
        append_row_to=node.text("append_row_to"),
        environment=read_environment(environment),
        model=node.at("model").data,
    )


def _check_script(script: Node, folder: str | None) -> None:
    name = script.as_text()
    if name is None or folder is None or bindings(name) or not is_folder(folder):
        return
    if not is_file(Path(folder) / name):
        near = suggest(name, sorted(_scripts(folder)))
        script.add_problem(f"There is no {short_repr(name)} in {folder}.", near)


def _scripts(folder: str) -> set[str]:
    try:
        return {path.name for path in Path(folder).glob("*.py")}
    except OSError:
        return set()


def _mini_batch_size(node: Node) -> str | None:
    text = node.as_text()
    if text is None or bindings(text):
        return text
    size = _SIZE.fullmatch(text.strip())
    if size is None or float(size["number"]) == 0:
        expected = "expected a number of files from 1 on, or a size such as 10mb"
        node.add_problem(f"Found {short_repr(text)}; {expected}.")
    return text


def _at_least(node: Node, key: str, least: int) -> int | str | None:
    number = node.bound_integer(key)
    if isinstance(number, int) and number < least:
        node.at(key).add_mismatch(f"at least {least}")
    return number


def _retries(node: Node) -> RetrySettings | None:
    if not node.expect_mapping():
        return None
    node.check_fields(("max_retries", "timeout"), closed=False)
    return RetrySettings(
        max_retries=_at_least(node, "max_retries", 0), timeout=_at_least(node, "timeout", 1)
    )


def check_parallel(node: Node, component: ParallelComponent, *, declared: bool) -> None:
    """Add a mistake for what does not agree with the inputs and outputs of a parallel task."""
    outputs = component.outputs
    task = node.at("task")
    check_command(task.at("program_arguments"), component.inputs, outputs, declared=declared)
    data = node.at("input_data")
    if isinstance(data.data, str):
        binding = sole_binding(data.data)
        if binding is None or binding.root != "inputs":
            data.add_mismatch("the input to cut into mini batches, such as ${{inputs.data}}")
        elif binding.names[0] not in component.inputs:
            remedy = suggest(binding.names[0], component.inputs) or "Declare it under `inputs:`."
            data.add_problem(f"There is no input {binding.names[0]!r}.", remedy)
        elif not component.inputs[binding.names[0]].is_data:
            data.add_problem(f"The input {binding.names[0]!r} is no data.", "Name one that is.")
        elif component.inputs[binding.names[0]].type != "mltable" and (
            declared or node.at("inputs").at(binding.names[0]).has("type")
        ):
            _check_file_count(node.at("mini_batch_size"))
    elif component.input_data is None:
        data.add_problem("This field is required.", "Write input_data: ${{inputs.NAME}}.")
    rows = task.at("append_row_to")
    if isinstance(rows.data, str):
        binding = sole_binding(rows.data)
        if binding is None or binding.root != "outputs":
            rows.add_mismatch("the output that takes the rows, such as ${{outputs.scores}}")
        elif binding.names[0] not in outputs:
            remedy = suggest(binding.names[0], outputs) or "Declare it under `outputs:`."
            rows.add_problem(f"There is no output {binding.names[0]!r}.", remedy)


def _check_file_count(node: Node) -> None:
    """Files are counted; only the rows of a table are cut by their size."""
    size = _SIZE.fullmatch(node.data.strip()) if isinstance(node.data, str) else None
    if size is not None and size["unit"]:
        message = f"Found {short_repr(node.data)}; expected a number of files."
        node.add_problem(message, "A size such as 10mb cuts an input of type mltable.")
