"""Where this machine keeps its state: jobs and data of the local workspace, ledgers of landings."""

from __future__ import annotations

import os
from pathlib import Path

_ROOT_MARKS = (".mlops", "workspace.yaml")


def find_home(start: Path | None = None) -> Path:
    """The state folder for work that starts in ``start`` (by default the current directory).

    ``$MLOPS_HOME``; else ``.mlops`` in the nearest folder upwards that has one or that holds a
    ``workspace.yaml``; else ``.mlops`` in ``start``. It need not exist yet.
    """
    if chosen := os.environ.get("MLOPS_HOME"):
        return Path(chosen).expanduser().absolute()
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _ROOT_MARKS):
            return folder / ".mlops"
    return start / ".mlops"
