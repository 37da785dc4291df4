"""Parallel tasks: an entry script that is fed mini batches.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.document import is_file, is_folder, shown
from mlops_dagster.aml.job import ParallelComponent, ParallelTask, RetrySettings
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.command import read_code, read_environment_variables, read_resources
from mlops_dagster.aml.read.environment import read_environment
from mlops_dagster.aml.read.wiring import check_command
from mlops_dagster.errors import suggest

SETTINGS = (
    "logging_level", "mini_batch_size", "partition_keys", "input_data", "resources",
    "retry_settings", "max_concurrency_per_instance", "error_threshold",
    "mini_batch_error_threshold", "environment_variables",
)  # fmt: skip
FIELDS = ("task", "environment", "code", *SETTINGS)
_SIZE = re.compile(r"\d+(\.\d+)?\s*([kmgt]?b?)?", re.IGNORECASE)


def read_parallel(part: Part, common: dict[str, Any]) -> ParallelComponent:
    """A parallel task, with the fields that every component has in ``common``."""
    task = _task(part.required("task"), part)
    return ParallelComponent(**common, task=task, **read_settings(part))


def read_settings(part: Part) -> dict[str, Any]:
    """The settings that are given; a step's win over its component's."""
    settings: dict[str, Any] = {
        "input_data": part.text("input_data"),
        "mini_batch_size": _mini_batch_size(part.at("mini_batch_size")),
        "partition_keys": part.texts("partition_keys"),
        "mini_batch_error_threshold": part.bound_integer("mini_batch_error_threshold"),
        "error_threshold": part.bound_integer("error_threshold"),
        "max_concurrency_per_instance": _at_least_one(part, "max_concurrency_per_instance"),
        "retry_settings": _retries(part.at("retry_settings")),
        "logging_level": part.choice(
            "logging_level", ("DEBUG", "INFO", "WARNING"), aliases={"warn": "WARNING"}
        ),
        "environment_variables": read_environment_variables(part),
        "resources": read_resources(part.at("resources")),
    }
    return {
        name: value for name, value in settings.items() if part.at(name).given and value is not None
    }


def _task(part: Part, around: Part) -> ParallelTask:
    if not part.is_mapping():
        return ParallelTask()
    part.fields(
        ("type", "code", "entry_script", "program_arguments", "model", "append_row_to",
         "environment"),
        closed=False,
    )  # fmt: skip
    kind = part.choice("type", ("run_function", "function", "model"))
    part.required("type")
    # A step may name code and environment beside its task.
    code = part.at("code") if part.at("code").given else around.at("code")
    environment = (
        part.at("environment") if part.at("environment").given else around.at("environment")
    )
    if not environment.given:
        part.required("environment")
    folder = read_code(code)
    script = part.at("entry_script")
    if kind != "model":
        script = part.required("entry_script")
        _check_script(script, folder)
    return ParallelTask(
        type=kind or "run_function",
        code=folder,
        entry_script=script.as_text(),
        program_arguments=part.text("program_arguments"),
        append_row_to=part.text("append_row_to"),
        environment=read_environment(environment),
        model=part.at("model").data,
    )


def _check_script(script: Part, folder: str | None) -> None:
    name = script.as_text()
    if name is None or folder is None or bindings(name) or not is_folder(folder):
        return
    if not is_file(Path(folder) / name):
        near = suggest(name, sorted(_scripts(folder)))
        script.problem(f"There is no {shown(name)} in {folder}.", near)


def _scripts(folder: str) -> set[str]:
    try:
        return {path.name for path in Path(folder).glob("*.py")}
    except OSError:
        return set()


def _mini_batch_size(part: Part) -> str | None:
    text = part.as_text()
    if text is not None and not bindings(text) and not _SIZE.fullmatch(text.strip()):
        part.problem(f"Found {shown(text)}; expected a number of files, or a size such as 10mb.")
    return text


def _at_least_one(part: Part, key: str) -> int | str | None:
    number = part.bound_integer(key)
    if isinstance(number, int) and number < 1:
        part.at(key).wrong("at least 1")
    return number


def _retries(part: Part) -> RetrySettings | None:
    if not part.is_mapping():
        return None
    part.fields(("max_retries", "timeout"), closed=False)
    return RetrySettings(
        max_retries=part.bound_integer("max_retries"), timeout=part.bound_integer("timeout")
    )


def check_parallel(part: Part, component: ParallelComponent, *, declared: bool) -> None:
    """Note what does not agree with the inputs and outputs of a parallel task."""
    outputs = component.outputs
    task = part.at("task")
    check_command(task.at("program_arguments"), component.inputs, outputs, declared=declared)
    data = part.at("input_data")
    if isinstance(data.data, str):
        binding = sole_binding(data.data)
        if binding is None or binding.root != "inputs":
            data.wrong("the input to cut into mini batches, such as ${{inputs.data}}")
        elif binding.names[0] not in component.inputs:
            remedy = suggest(binding.names[0], component.inputs) or "Declare it under `inputs:`."
            data.problem(f"There is no input {binding.names[0]!r}.", remedy)
        elif not component.inputs[binding.names[0]].is_data:
            data.problem(f"The input {binding.names[0]!r} is no data.", "Name one that is.")
    elif component.input_data is None:
        data.problem("This field is required.", "Write input_data: ${{inputs.NAME}}.")
    rows = task.at("append_row_to")
    if isinstance(rows.data, str):
        binding = sole_binding(rows.data)
        if binding is None or binding.root != "outputs":
            rows.wrong("the output that takes the rows, such as ${{outputs.scores}}")
        elif binding.names[0] not in outputs:
            remedy = suggest(binding.names[0], outputs) or "Declare it under `outputs:`."
            rows.problem(f"There is no output {binding.names[0]!r}.", remedy)
