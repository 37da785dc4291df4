"""What a job leaves behind: its ``./outputs`` and ``./logs`` are kept, the rest is cleared away."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_dagster.system import atomic
from mlops_dagster.system.files import keep_only_files, make_read_only, remove_tree
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.records.jobs import artifacts_uri
from mlops_dagster.workspace.local.storage import progress
from mlops_dagster.workspace.local.storage.storage import Storage


def working_folder(home: Path, job: str) -> Path:
    """The current directory of a job's processes."""
    return home / "jobs" / job / "work"


def inputs_folder(home: Path, job: str) -> Path:
    """Where a job's data inputs lie, as far as they are its own."""
    return home / "jobs" / job / "inputs"


def python_folder(home: Path, job: str) -> Path:
    """Where what is made for one job's Python lies: what its command installs, for one."""
    return home / "jobs" / job / "python"


def keep(home: Path, storage: Storage, job: str) -> None:
    """Move what the command wrote to ``./outputs`` and ``./logs`` to where it stays.

    A link becomes a copy of what it points to, which may be about to go. What is neither a file nor
    a folder is left out, and the job's log says so.
    """
    place = storage.path_of(artifacts_uri(job))
    for name in ("outputs", "logs"):
        folder = working_folder(home, job) / name
        if not os.path.lexists(folder):
            continue
        for problem in keep_only_files(folder):
            logs.note(home, job, f"Left out of ./{name}: {problem}")
        if folder.is_dir() and any(folder.iterdir()):
            make_read_only(folder)
            place.mkdir(parents=True, exist_ok=True)
            atomic.remove_folder(place / name)
            folder.rename(place / name)


def clear(home: Path, storage: Storage, job: str) -> None:
    """Remove the copy of the code, its own inputs and Python, and what it staged in vain.

    What a job has staged that can be resumed stays.
    """
    if not progress.can_be_resumed(storage, job):
        storage.outputs.discard(job)
    for folder in (working_folder, inputs_folder, python_folder):
        remove_tree(folder(home, job))
