"""Logs of jobs, as tests read them."""

from __future__ import annotations

from mlops_dagster.workspace.local.records.logs import NOTE


def without_notes(text: str) -> str:
    """A log without the workspace's own lines."""
    own = NOTE.decode()
    return "\n".join(line for line in text.split("\n") if not line.startswith(own))
