"""Which software a step's command finds here, and what is to be said of it beforehand."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_dagster.workspace.local.ground.addresses import SUBSTITUTIONS
from mlops_dagster.workspace.local.ground.plan import Runtime
from mlops_dagster.workspace.local.software.build import refuse_unavailable
from mlops_dagster.workspace.local.software.software import (
    Software,
    missing_packages,
    read_requirements,
    required_software,
)

if TYPE_CHECKING:
    from mlops_dagster.aml.environment import Environment
    from mlops_dagster.workspace.local.ground.substitutions import Substitutions

# `pip install`, `pip3 -q install`, `python -m pip install`, `uv pip install`, `conda install` ...
_INSTALLS = re.compile(
    r"(?:^|[\s;&|(`/\"'])(?:pip[\d.]*|conda|mamba|micromamba)(?:\s+-[^\s;&|]+)*\s+"
    r"(?:install|uninstall|update|env\s+update)\b"
)
_CONDA_INSTALLS = re.compile(
    r"(?:^|[\s;&|(`/\"'])(?:conda|mamba|micromamba)(?:\s+-\S+)*\s+install\b"
)


def choose(
    environment: Environment | None,
    substitutions: Substitutions,
    *,
    isolate: bool,
    field: str = "environment",
) -> tuple[Runtime, Sequence[str]]:
    """The software for a step, and remarks on its environment that are worth saying once.

    What the step itself lacks is in the runtime's own notes.

    Args:
        isolate: build a virtual environment where the environment says what is in it.
        field: where it stands; for messages.

    Raises Unsupported where a virtual environment would lack packages that only conda has.
    """
    if environment is None:
        return Runtime(), ()
    instead = substitutions.environment(environment)
    asked = _identity(environment)
    if instead is not None and instead.python is not None:
        return Runtime(asked, interpreter=str(instead.python)), ()
    if instead is not None and instead.requirements is not None:
        lines = read_requirements(instead.requirements)
        return Runtime(asked, requirements=lines), ()
    if environment.conda is None:
        remark = (
            f"{_unused_note(environment)}; the interpreter at hand stands for it. `environments:` in"
            f" .mlops/{SUBSTITUTIONS} names another one, and a conda file lets --isolate build one."
        )
        return Runtime(asked), (remark,)
    software = required_software(environment)
    asked["requirements"] = list(software.requirements)
    variables = _conda_variables(environment)
    if isolate:
        refuse_unavailable(software, field)
        runtime = Runtime(
            asked,
            requirements=software.requirements,
            python=software.python,
            variables=variables,
        )
        return runtime, ()
    return Runtime(asked, variables=variables, notes=tuple(_missing_notes(software))), ()


def installs(command: str) -> bool:
    """Whether a command installs packages into the Python that it finds."""
    return bool(_INSTALLS.search(command))


def installs_with_conda(command: str) -> bool:
    """Whether a command calls conda to install packages."""
    return bool(_CONDA_INSTALLS.search(command))


def _missing_notes(software: Software) -> list[str]:
    lacking = missing_packages(software)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if software.python and software.python.split(".")[:2] != here.split("."):
        lacking.insert(0, f"python={software.python} (it is {here})")
    notes = []
    if lacking:
        said = ", ".join(lacking)
        notes.append(f"These packages of its environment are not installed here: {said}.")
    if software.unavailable:
        said = ", ".join(software.unavailable)
        notes.append(f"These packages of its environment are conda's, and not looked for: {said}.")
    return notes


def _identity(environment: Environment) -> dict[str, Any]:
    """What tells an environment from another one, wherever its files lie."""
    fields = {"reference", "name", "version", "image", "build", "conda"}
    return environment.model_dump(mode="json", include=fields, exclude_none=True)


def _conda_variables(environment: Environment) -> dict[str, str]:
    """What conda sets when the environment is activated (docs.conda.io, "Setting environment
    variables").
    """
    variables = (environment.conda or {}).get("variables")
    if not isinstance(variables, Mapping):
        return {}
    return {str(name): str(value) for name, value in variables.items()}


def _unused_note(environment: Environment) -> str:
    """What an environment is that says nothing of its packages."""
    if environment.build is not None:
        return f"The Docker build context {environment.build.path} is not built on this machine"
    if environment.image is not None:
        return f"The image {environment.image} is not used on this machine"
    return f"The environment {environment.reference or environment.name} is known on Azure only"
