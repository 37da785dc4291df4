"""Command jobs: a shell command, in as many processes as its distribution asks for.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-command
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlops_dagster.system.processes import Launch
from mlops_dagster.workspace.local.kinds.task import Task

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Step


def body(step: Step, fill: Callable[[str], str]) -> dict[str, Any]:
    """The command and the distribution of a step."""
    from mlops_dagster.aml.job import CommandComponent

    component = step.component
    assert isinstance(component, CommandComponent)  # noqa: S101 - the table of kinds says so
    distribution = step.distribution or component.distribution
    return {
        "command": component.command,
        "distribution": _filled(distribution.model_dump(mode="json"), fill)
        if distribution
        else None,
    }


def launches(task: Task) -> Sequence[Launch]:
    """The command's processes: one, or one a rank."""
    argv = [_shell(), "-c", command_line(task)]
    if not task.step.body["distribution"]:
        return [Launch(argv, task.environment)]
    from mlops_dagster.workspace.local.kinds.distribution import ranks_of

    ranks = ranks_of(task.step.body["distribution"], task.step.nodes)
    return [Launch(argv, {**task.environment, **rank.variables}, rank.serves) for rank in ranks]


def _filled(fields: dict[str, Any], fill: Callable[[str], str]) -> dict[str, Any]:
    return {name: fill(item) if isinstance(item, str) else item for name, item in fields.items()}


def command_line(task: Task) -> str:
    """The command with its bindings filled in, each value quoted for the place it stands in."""
    from mlops_dagster.aml.bindings import render

    text: str = task.step.body["command"]
    return render(text, task.text_of)


def _shell() -> str:
    return "/bin/bash" if os.access("/bin/bash", os.X_OK) else shutil.which("bash") or "/bin/sh"
