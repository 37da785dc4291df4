"""Parallel steps: the entry script over mini batches, by the driver in ``parallel/``.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.system.processes import Launch
from mlops_dagster.workspace.local.ground.plan import Data
from mlops_dagster.workspace.local.kinds.task import Task

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Step


def body(step: Step, fill: Callable[[str], str]) -> dict[str, Any]:
    """What the driver is given, with the bindings to the step's own inputs still in it."""
    from mlops_dagster.aml.bindings import sole_binding
    from mlops_dagster.aml.job import ParallelComponent

    component = step.component
    assert isinstance(component, ParallelComponent)  # noqa: S101 - the table of kinds says so
    task, retries = component.task, component.retry_settings
    binding = sole_binding(component.input_data)
    if binding is None or binding.root != "inputs" or task.entry_script is None:
        raise InvalidRequest(
            f"The parallel step {step.name!r} lacks what it runs or what it runs on.",
            remedy="Give task.entry_script, and input_data: ${{inputs.NAME}}.",
        )
    settings = {
        "mini_batch_size": component.mini_batch_size,
        "max_concurrency_per_instance": component.max_concurrency_per_instance,
        "mini_batch_error_threshold": component.mini_batch_error_threshold,
        "error_threshold": component.error_threshold,
        "max_retries": retries.max_retries if retries else None,
        "timeout": retries.timeout if retries else None,
        "logging_level": component.logging_level,
        "append_row_to": task.append_row_to,
    }
    return {
        "entry_script": task.entry_script,
        "arguments": fill(task.program_arguments or ""),
        "input": binding.names[0],
        "partition_keys": list(component.partition_keys),
        "settings": {name: fill(str(item)) for name, item in settings.items() if item is not None},
    }


def launches(task: Task) -> Sequence[Launch]:
    """The driver, which starts the workers itself."""
    plan = task.progress / "plan.json"
    plan.write_text(json.dumps(_plan(task)), encoding="utf-8")
    driver = "mlops_dagster.workspace.local.parallel"
    return [Launch([sys.executable, "-P", "-m", driver, str(plan)], task.environment)]


_NUMBERS = (
    "max_concurrency_per_instance",
    "mini_batch_error_threshold",
    "error_threshold",
    "max_retries",
    "timeout",
)


def _plan(task: Task) -> dict[str, Any]:
    from mlops_dagster.aml.bindings import fill, render

    body = task.step.body
    data = task.inputs.get(body["input"])
    if not isinstance(data, Data):
        raise InvalidRequest(f"The input {body['input']!r} of a parallel step is no data.")
    settings: dict[str, Any] = {
        name: fill(text, task.text_of) for name, text in body["settings"].items()
    }
    for name in _NUMBERS:
        if name in settings:
            settings[name] = _number(name, settings[name])
    return {
        **settings,
        "code": str(task.working),
        "python": str(task.interpreter.python),
        "entry_script": body["entry_script"],
        "arguments": shlex.split(render(body["arguments"], task.text_of)),
        "input": {"path": str(task.paths[body["input"]]), "type": data.type},
        "partition_keys": body["partition_keys"],
        "instance_count": task.step.nodes,
        "logs": str(task.working / "logs"),
        "state": str(task.progress),
        "output_folder": next((str(path) for path in task.outputs.values() if path.is_dir()), None),
    }


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest(f"{name} is {text!r}; a whole number is expected.") from None
