"""The group that the commands of `mlops job` belong to."""

from __future__ import annotations

from mlops_dagster.cli.command import group

app = group("Submit jobs, follow them, and fetch what they leave.")
