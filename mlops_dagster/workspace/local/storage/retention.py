"""What the state folder no longer needs goes by itself: once a day, when a job has ended.

It goes when nothing has used it for the days of retention, and when neither a job of that time, nor
one that has not ended, nor a registered data asset or model refers to it:

- ``jobs/NAME``, with its logs, and what the job had staged
- ``snapshots``: code
- uploaded inputs
- ``environments``
- ``cache/downloads``

What jobs have written (outputs, ``./outputs`` and ``./logs``, MLflow's store), registered versions,
and the rows of jobs stay. ``retention.yml`` in the state folder says how long: 30 days, if there is
none::

    days: 90                    # or: forever
"""

from __future__ import annotations

import re
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.system import atomic
from mlops_dagster.system.files import mark_used, remove_tree
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.storage.datastores import DEFAULT_DATASTORE, UPLOADS
from mlops_dagster.workspace.local.storage.registry import Registry
from mlops_dagster.workspace.ports import JobStatus

FILE = "retention.yml"
_DEFAULT_DAYS = 30.0
_DAY = 86_400.0
_REMOVED = ".removed."
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Needed:
    """What is still referred to.

    Attributes:
        jobs: names of jobs.
        digests: of code and uploads, in hexadecimal digits.
        since: when the oldest job that has not ended was submitted.
    """

    jobs: frozenset[str]
    digests: frozenset[str]
    since: float


@dataclass(frozen=True)
class _Candidate:
    """A folder that may go; the time of ``stamp`` tells when it was last used."""

    folder: Path
    stamp: Path


def retention_days(home: Path) -> float | None:
    """How many days what is not used is kept; None for ever.

    Raises InvalidDocument for a ``retention.yml`` in ``home`` that is wrong.
    """
    file = home / FILE
    if not file.exists():
        return _DEFAULT_DAYS
    from mlops_dagster.workspace.local.storage.retention_file import read_days

    return read_days(file)


def remove_if_due(state: State) -> list[Path]:
    """Remove what is no longer needed where that was not done within a day; returns what went."""
    from filelock import FileLock, Timeout

    days = retention_days(state.home)
    stamp = state.home / ".retention"
    if days is None:
        return []
    if not stamp.exists():  # nothing is old in a new folder
        stamp.touch()
    if stamp.stat().st_mtime > time.time() - _DAY:
        return []
    with suppress(Timeout), FileLock(state.home / ".retention.lock", timeout=0):
        mark_used(stamp)
        return remove_unneeded(state, days)
    return []


def remove_unneeded(state: State, days: float) -> list[Path]:
    """Remove what nothing has used for so many days and nothing refers to; returns what went."""
    cutoff = time.time() - days * _DAY
    needed = _find_needed(state, cutoff)
    # A job that has not ended may use an environment that it has found when it began.
    environments_cutoff = min(cutoff, needed.since)
    removed = [each.folder for each in _candidates(state.home, needed) if _remove(each, cutoff)]
    return removed + [
        each.folder for each in _environments(state.home) if _remove(each, environments_cutoff)
    ]


def _find_needed(state: State, cutoff: float) -> _Needed:
    state.create(records.SCHEMA)
    Registry(state)
    ended = [status for status in JobStatus if status.is_terminal]
    marks = ", ".join("?" * len(ended))
    with state.read() as connection:
        kept = connection.execute(
            "SELECT name, properties FROM jobs WHERE root IN (SELECT root FROM jobs WHERE"  # noqa: S608 - marks
            f" status NOT IN ({marks}) OR max(created_at, coalesce(ended_at, 0)) >= ?"
            " OR name IN (SELECT job FROM assets))",
            (*ended, cutoff),
        ).fetchall()
        since = connection.execute(
            f"SELECT min(created_at) FROM jobs WHERE status NOT IN ({marks})",  # noqa: S608 - marks
            ended,
        ).fetchone()[0]
        names = frozenset(row["name"] for row in kept)
        digests = frozenset(
            digest for text in _texts(connection, names) for digest in _DIGEST.findall(text)
        )
    inputs = frozenset(digest for row in kept for digest in _DIGEST.findall(row["properties"]))
    return _Needed(names, digests | inputs, time.time() if since is None else since)


def _texts(connection: sqlite3.Connection, jobs: frozenset[str]) -> Iterator[str]:
    """Whatever may name code or an upload that is needed."""
    for row in connection.execute("SELECT job, plan FROM job_plans"):
        if row["job"] in jobs:
            yield row["plan"]
    yield from (row["uri"] for row in connection.execute("SELECT uri FROM job_outputs"))
    for row in connection.execute("SELECT uri, source, properties FROM assets"):
        yield from row
    tables = "SELECT 1 FROM sqlite_master WHERE name = 'schedules'"
    if connection.execute(tables).fetchone() is not None:
        yield from (row[0] for row in connection.execute("SELECT document FROM schedules"))


def _environments(home: Path) -> Iterator[_Candidate]:
    from mlops_dagster.workspace.local.software.build import READY

    for folder in _folders(home / "environments"):
        yield _Candidate(folder, folder / READY)


def _candidates(home: Path, needed: _Needed) -> Iterator[_Candidate]:
    from mlops_dagster.workspace.local.storage.downloads import LATEST, older_versions

    datastores = home / "datastores"
    for parent in (home / "jobs", datastores / ".staging"):
        for folder in _folders(parent):
            if folder.name not in needed.jobs:
                yield _Candidate(folder, folder)
    for parent in (home / "snapshots", datastores / DEFAULT_DATASTORE / UPLOADS):
        for folder in _folders(parent):
            if _DIGEST.fullmatch(folder.name) and folder.name not in needed.digests:
                yield _Candidate(folder, folder)
    for address in _folders(home / "cache/downloads"):
        yield _Candidate(address, address / LATEST)
        for version in older_versions(address):
            yield _Candidate(version, version)
    for parent in (home / "snapshots", datastores / ".publishing"):
        for folder in _folders(parent, hidden=True):  # half-made by a process that was killed
            yield _Candidate(folder, folder)


def _folders(parent: Path, *, hidden: bool = False) -> list[Path]:
    """The folders in one; what was left half-removed goes meanwhile."""
    if not parent.is_dir():
        return []
    found = []
    for folder in sorted(parent.iterdir()):
        if folder.name.startswith(_REMOVED):
            remove_tree(folder)
        elif folder.name.startswith(".") == hidden and folder.is_dir():
            found.append(folder)
    return found


def _remove(candidate: _Candidate, cutoff: float) -> bool:
    """Remove a folder that was last used before ``cutoff``; at no time it is seen half-removed."""
    folder = candidate.folder
    if _last_use(candidate.stamp, folder) >= cutoff:
        return False
    aside = folder.with_name(f"{_REMOVED}{uuid.uuid4().hex}")
    folder.rename(aside)
    if _last_use(aside / candidate.stamp.relative_to(folder), aside) >= cutoff:
        atomic.move(aside, folder)  # used at this very moment
        return False
    remove_tree(aside)
    return True


def _last_use(stamp: Path, folder: Path) -> float:
    try:
        return (stamp if stamp.exists() else folder).stat().st_mtime
    except FileNotFoundError:  # it went with the folder around it
        return time.time()
