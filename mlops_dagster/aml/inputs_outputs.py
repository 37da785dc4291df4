"""Inputs and outputs: what a component declares, and what a job or step gives.

Source of the types and modes: the "command job", "command component" and "pipeline job" YAML
schemas of Azure Machine Learning (learn.microsoft.com/azure/machine-learning/reference-yaml-job-command).
"""

from __future__ import annotations

from typing import Literal

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.types import LITERAL_TYPES, InputType

Scalar = str | int | float | bool

InputMode = Literal[
    "ro_mount", "rw_mount", "download", "direct", "eval_mount", "eval_download", "upload"
]
OutputMode = Literal["rw_mount", "upload", "direct", "mount"]


class InputSpec(Value):
    """An input that a component declares.

    Attributes:
        type: what it accepts.
        default: taken where nothing is given; only for literal types.
        optional: may be left out; its ``$[[...]]`` group then vanishes from the command.
        min, max: bounds of a number or integer, inclusive.
        enum: the only values that a literal may take.
    """

    type: InputType
    description: str = ""
    mode: InputMode | None = None
    default: Scalar | None = None
    optional: bool = False
    min: float | None = None
    max: float | None = None
    enum: tuple[Scalar, ...] = ()

    @property
    def is_data(self) -> bool:
        """Whether it takes a path rather than a literal."""
        return self.type not in LITERAL_TYPES


class OutputSpec(Value):
    """An output that a component declares: data, a model, or a literal that steers a loop."""

    type: InputType = "uri_folder"
    description: str = ""
    mode: OutputMode | None = None


class InputValue(Value):
    """What a job or step gives to one input: a literal, data, or a binding.

    Attributes:
        type: as written, or None where the YAML leaves it to the declaration.
        value: a literal; a string may hold bindings (``${{parent.inputs.rate}}``), alone or
            within other text.
        path: where data lies: a URL, an ``azureml:`` reference, a binding, or an absolute path
            on this machine (a relative path was resolved against its file).

    Exactly one of ``value`` and ``path`` is set, or neither where data is left to be set when the
    job is submitted.
    """

    type: InputType | None = None
    value: Scalar | None = None
    path: str | None = None
    mode: InputMode | None = None
    description: str = ""


class OutputValue(Value):
    """Where a job or step puts one output.

    Attributes:
        type: as written, or None where the YAML leaves it to the declaration.
        path: a datastore URI, or a binding of a step's output to its pipeline's
            (``${{parent.outputs.model}}``); None for the workspace's default place.
        name: registers the output under this name when the job completes.
        version: of that name; None for the next.
    """

    type: InputType | None = None
    path: str | None = None
    mode: OutputMode | None = None
    name: str | None = None
    version: str | None = None
    description: str = ""


def literal_text(value: Scalar) -> str:
    """A literal as it stands in a command: the text that Azure ML sends (``True``, ``0.1``)."""
    return value if isinstance(value, str) else str(value)
