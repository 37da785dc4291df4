"""The kinds of job that run here, and what is common to them when a plan is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from mlops_dagster.workspace.local.ground.plan import Data, Input, Produced, Scalar, Value

if TYPE_CHECKING:
    from mlops_dagster.aml.environment import Environment
    from mlops_dagster.aml.job import Step
    from mlops_dagster.system.processes import Launch
    from mlops_dagster.workspace.local.kinds.task import Task

# A new kind of job: one module here with the functions of ``Kind``, and one line.
_KINDS = {
    "command": "mlops_dagster.workspace.local.kinds.command",
    "parallel": "mlops_dagster.workspace.local.kinds.parallel",
    "spark": "mlops_dagster.workspace.local.kinds.spark",
    "sweep": "mlops_dagster.workspace.local.kinds.sweep.body",
}


class Kind(Protocol):
    """What the module of a kind has."""

    def body(self, step: Step, fill: Callable[[str], str]) -> dict[str, Any]:
        """What the kind keeps of a step in its plan, as JSON values.

        Args:
            fill: puts the literals of the pipeline around into a text's ``${{parent.inputs.x}}``.

        Raises InvalidRequest or Unsupported where the step cannot run here.
        """

    def launches(self, task: Task) -> Sequence[Launch]:
        """The processes that do the work, side by side; a sweep has none of its own."""


def kind_of(step: Step) -> str:
    """The kind of a step that is no pipeline."""
    return "sweep" if step.sweep is not None else step.component.type


def is_known(kind: str) -> bool:
    """Whether jobs of a kind run here."""
    return kind in _KINDS


def module_of(kind: str) -> Kind:
    """The module that carries out a kind."""
    return cast(Kind, import_module(_KINDS[kind]))


def code_of(step: Step) -> str | None:
    """The code that a step brings: the component's, or the entry script's folder."""
    component: Any = step.component
    task = getattr(component, "task", None)
    code: str | None = task.code if task is not None else getattr(component, "code", None)
    return code


def environment_of(step: Step) -> Environment | None:
    """The environment of a step: its own, else its component's, else its parallel task's."""
    component: Any = step.component
    task = getattr(component, "task", None)
    declared = getattr(component, "environment", None) or getattr(task, "environment", None)
    found: Environment | None = step.environment or declared
    return found


def inputs_json(inputs: Mapping[str, Input | None]) -> str:
    """Inputs as JSON for a record: literals, addresses, and outputs of other jobs."""
    found: dict[str, Scalar] = {}
    for name, value in inputs.items():
        match value:
            case Value():
                found[name] = value.value
            case Data():
                found[name] = value.version or value.uri
            case Produced():
                found[name] = f"azureml:{value.job}:outputs.{value.output}"
            case None:
                pass
    return json.dumps(found)
