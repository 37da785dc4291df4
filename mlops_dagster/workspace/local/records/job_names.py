"""Names of jobs: what one may be, and new ones."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidRequest

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Job

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_LONGEST = 255


def check_name(name: str) -> str:
    """A job's name as it may be; raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot be a job's name.",
            remedy="Use up to 255 letters, digits, '_' and '-', a letter or digit first.",
        )
    return name


def new_name(job: Job) -> str:
    """A name for a job whose submitter gave none: what it is called, made unique."""
    called = (
        job.display_name or job.step.component.name or (job.source and job.source.stem) or "job"
    )
    stem = re.sub(r"[^A-Za-z0-9]+", "_", called).strip("_")[:40] or "job"
    return f"{stem}_{_random()}"


def next_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """A name for a job that goes on where another one ended: ``train``, ``train_r2``, ``train_r3``."""
    stem = re.sub(r"_r\d+$", "", name)[: _LONGEST - 10]
    return next(found for i in itertools.count(2) if not is_taken(found := f"{stem}_r{i}"))


def free_name(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """A name for a step: the wanted one where it is free and not too long."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)
    if len(name) > _LONGEST:
        name = f"{name[:200]}_{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    while is_taken(name):
        name = f"{name[:240]}_{_random()}"
    return name


def _random() -> str:
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(10))
