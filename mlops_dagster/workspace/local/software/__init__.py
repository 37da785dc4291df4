"""The software that a job finds: what its environment asks for, and an interpreter that has it."""

from __future__ import annotations

from mlops_dagster.workspace.local.software.build import isolated
from mlops_dagster.workspace.local.software.choice import choose
from mlops_dagster.workspace.local.software.interpreter import Interpreter, at_hand
from mlops_dagster.workspace.local.software.overlay import overlay
from mlops_dagster.workspace.local.software.software import Software, missing, software_of

__all__ = [
    "Interpreter",
    "Software",
    "at_hand",
    "choose",
    "isolated",
    "missing",
    "overlay",
    "software_of",
]
