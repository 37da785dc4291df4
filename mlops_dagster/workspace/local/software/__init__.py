"""The software that a job finds: what its environment asks for, and an interpreter that has it."""

from __future__ import annotations

from mlops_dagster.workspace.local.software.build import build_environment
from mlops_dagster.workspace.local.software.choice import choose
from mlops_dagster.workspace.local.software.interpreter import Interpreter, current_interpreter
from mlops_dagster.workspace.local.software.overlay import make_overlay
from mlops_dagster.workspace.local.software.software import (
    Software,
    missing_packages,
    required_software,
)

__all__ = [
    "Interpreter",
    "Software",
    "current_interpreter",
    "choose",
    "build_environment",
    "missing_packages",
    "make_overlay",
    "required_software",
]
