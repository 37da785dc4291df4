"""What a parallel step has done, kept with its staged outputs until it has completed.

A step that did not complete leaves both, for the job that resumes its pipeline::

    .staging/JOB/outputs/    what its script wrote
    .staging/JOB/progress/   what its driver keeps, and ``identity``: what the step does
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mlops_dagster.workspace.local.storage.storage import Storage

_IDENTITY = "identity"


def begin(storage: Storage, job: str) -> Path:
    """An empty folder for the progress of a job that nothing resumes."""
    storage.outputs.discard(job)
    folder = _folder(storage, job)
    folder.mkdir(parents=True)
    return folder


def resume(storage: Storage, job: str, former: Sequence[str], identity: str) -> Path:
    """The folder for the progress of a job, with what the first of ``former`` has done.

    Args:
        former: the jobs that it resumes, the latest first.
        identity: digest of what it does; the progress of a job that did something else is removed.
    """
    folder = begin(storage, job)
    for name in former:
        file = _folder(storage, name) / _IDENTITY
        with suppress(FileNotFoundError):
            if file.read_text(encoding="utf-8") == identity:
                storage.outputs.hand_over(name, to=job)
                return folder
        storage.outputs.discard(name)
    (folder / _IDENTITY).write_text(identity, encoding="utf-8")
    return folder


def complete(storage: Storage, job: str) -> None:
    """Note that a job is done: from now on nothing can go on with its progress."""
    (_folder(storage, job) / _IDENTITY).unlink(missing_ok=True)


def can_be_resumed(storage: Storage, job: str) -> bool:
    """Whether another job can go on with what this one has done."""
    return (_folder(storage, job) / _IDENTITY).exists()


def _folder(storage: Storage, job: str) -> Path:
    return storage.outputs.staged_by(job) / "progress"
