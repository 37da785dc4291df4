"""The software that a job finds: what its environment asks for, and an interpreter that has it."""

from __future__ import annotations

from mlops_dagster.workspace.local.environments.build import isolated
from mlops_dagster.workspace.local.environments.choice import choose
from mlops_dagster.workspace.local.environments.interpreter import Interpreter, at_hand
from mlops_dagster.workspace.local.environments.overlay import overlay
from mlops_dagster.workspace.local.environments.software import Software, missing, software_of

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
