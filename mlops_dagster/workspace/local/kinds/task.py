"""A planned step while it runs: its folder, its inputs as paths, its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.workspace.local.ground.plan import Data, PlannedStep, Value, literal_text
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.software.interpreter import Interpreter, current_interpreter

if TYPE_CHECKING:
    from mlops_dagster.aml.bindings import Binding

# Variables of the runner and of the shell that started it, beside those that begin with MLOPS_.
_OF_THE_RUNNER = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})


@dataclass(frozen=True)
class Task:
    """A planned step while it runs.

    Attributes:
        inputs: without the optional ones that are not given.
        paths: where the data inputs can be read, by name.
        outputs: where each output is to be written, by name.
        working: the current directory of its processes, which holds the code.
        progress: where it may keep what it has done, for the job that resumes it.
        environment: all variables that its processes get.
        interpreter: the Python that they find.
    """

    home: Path
    step: PlannedStep
    inputs: Mapping[str, Value | Data]
    paths: Mapping[str, Path]
    outputs: Mapping[str, Path]
    working: Path
    progress: Path
    environment: Mapping[str, str]
    interpreter: Interpreter = field(default_factory=current_interpreter)

    @property
    def logs(self) -> Path:
        """The job's own folder of logs."""
        return self.home / "jobs" / self.step.job / "logs"

    def note(self, text: str) -> None:
        """Say something in the job's log."""
        logs.note(self.home, self.step.job, text)

    def text_of(self, binding: Binding) -> str | None:
        """What a binding stands for: a path, a literal; None for an input that is not given."""
        name = binding.names[0] if binding.names else ""
        if binding.root in ("inputs", "search_space"):
            value = self.inputs.get(name)
            if isinstance(value, Value):
                return literal_text(value.value)
            return str(self.paths[name]) if value is not None else None
        if binding.root == "outputs":
            return str(self.outputs[name]) if name in self.outputs else None
        return self.step.job if binding.root == "name" else binding.text


def environment(
    step: PlannedStep,
    *,
    root: str,
    experiment: str,
    tracking: Mapping[str, str],
    inputs: Mapping[str, Value | Data],
    paths: Mapping[str, Path],
    outputs: Mapping[str, Path],
    working: Path,
    interpreter: Interpreter,
    home: Path,
) -> dict[str, str]:
    """The variables of a job's processes: the runner's, Azure ML's, and last the job's own.

    The runner has those that the submitter passes on; see ``ground/variables.py``.

    Args:
        tracking: those by which its scripts find MLflow.

    Sources: learn.microsoft.com/azure/machine-learning/how-to-read-write-data-v2 for inputs and
    outputs, .../how-to-use-mlflow-cli-runs for tracking; the rest as scripts find it in a job.
    """
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MLOPS_") and name not in _OF_THE_RUNNER
    }
    given = {
        f"AZURE_ML_INPUT_{name}": literal_text(value.value)
        if isinstance(value, Value)
        else str(paths[name])
        for name, value in inputs.items()
    }
    return {
        **interpreter.within(passed_on),
        "PYTHONUNBUFFERED": "1",
        "MLOPS_HOME": str(home),
        "AZUREML_RUN_ID": step.job,
        "AZUREML_ROOT_RUN_ID": root,
        "AZUREML_EXPERIMENT_NAME": experiment,
        "AZUREML_EXPERIMENT_ID": experiment,
        "AZUREML_ARM_SUBSCRIPTION": "local",
        "AZUREML_ARM_RESOURCEGROUP": "local",
        "AZUREML_ARM_WORKSPACE_NAME": "local",
        "AZUREML_ARM_PROJECT_NAME": experiment,
        "AZUREML_NODE_COUNT": str(step.nodes),
        "AZUREML_CR_EXECUTION_WORKING_DIR_PATH": str(working),
        **tracking,
        **given,
        **{f"AZURE_ML_OUTPUT_{name}": str(path) for name, path in outputs.items()},
        **step.runtime.variables,
        **step.environment_variables,
    }
