"""The software that a job finds: what its environment asks for, and an interpreter that has it."""

from __future__ import annotations

from mlops_dagster.workspace.local.environments.build import isolated, overlay
from mlops_dagster.workspace.local.environments.software import Software, missing, software_of

__all__ = ["Software", "isolated", "missing", "overlay", "software_of"]
