"""The queue of jobs, without a daemon: whoever looks, moves it on.

Under a write transaction the oldest waiting jobs of each compute target are given nodes while
there are any, and a detached runner process is started for each that was submitted by itself. A
step of a pipeline is given its node in the same way and then run by its pipeline's runner.

A runner holds a lock on ``jobs/NAME/runner.lock`` from its first moment, handed over by whoever
starts it, to its last. A job that is under way while nobody holds its lock has lost its runner.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.system.process_tree import ProcessTree, is_alive
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.jobs import ACTIVE
from mlops_dagster.workspace.local.records.logs import tail
from mlops_dagster.workspace.ports import JobStatus

# Pipelines take no node, since a node that they held could be what their steps wait for; each
# costs a process all the same.
PIPELINES = "pipelines"
PIPELINES_AT_ONCE = 16

_LOST = "The process that ran this job ended without a word (killed, or the machine restarted)."
_STARTS = 3
_ACTIVE = ", ".join(f"'{status}'" for status in ACTIVE)


def job_folder(home: Path, name: str) -> Path:
    """Where a job's logs and working directory lie."""
    return home / "jobs" / name


def mark(home: Path, name: str) -> str:
    """What tells a job's processes from all others on this machine; see ``process_tree.MARK``."""
    return f"{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}.{name}"


def advance(state: State) -> None:
    """End what has lost its runner, and start what now has a node.

    Costs one short query where there is nothing to do.
    """
    with state.read() as connection:
        roots = [
            row["root"]
            for row in connection.execute(
                f"SELECT DISTINCT root FROM jobs WHERE status IN ({_ACTIVE})"  # noqa: S608
            )
        ]
        waiting = _next(connection) is not None
    lost = [root for root in roots if not has_runner(state.home, root)]
    for root in lost:
        _end_lost_job(state, root)
    if waiting or lost:
        dispatch(state)


def dispatch(state: State) -> None:
    """Give free nodes to the jobs that wait for them and start their runners."""
    with state.write() as connection:
        starts = grant(connection, state.home)
    start(state, starts)


class Start:
    """A runner that is to be started: its job, how, and the lock it will hold."""

    def __init__(self, name: str, python: str, environment: dict[str, str], lock: int) -> None:
        self.name = name
        self.python = python
        self.environment = environment
        self.lock = lock


def grant(connection: sqlite3.Connection, home: Path) -> list[Start]:
    """Give free nodes to waiting jobs, oldest first; ``start`` is to follow the transaction.

    A job that needs more nodes than are free lets none behind it pass, so that it gets its turn.
    """
    starts: list[Start] = []
    held_back: set[str] = set()
    while (row := _next(connection, held_back)) is not None:
        name = row["name"]
        lock = None
        if row["root"] == name:
            lock = _acquire_lock(home, name)
            if lock is None:  # its last runner has not quite gone
                held_back.add(name)
                continue
        records.update_status(connection, name, JobStatus.PREPARING, only_from=[JobStatus.QUEUED])
        connection.execute("UPDATE jobs SET starts = starts + 1 WHERE name = ?", (name,))
        if lock is not None:
            plan = connection.execute(
                "SELECT python, environment FROM job_plans WHERE job = ?", (name,)
            ).fetchone()
            environment = json.loads(plan["environment"] or "{}")
            starts.append(Start(name, plan["python"], environment, lock))
    return starts


def start(state: State, starts: list[Start]) -> None:
    """Start runners, each a process that outlives this one."""
    for item in starts:
        try:
            _spawn(state.home, item)
        except OSError as error:
            message = f"Its runner could not be started: {error.strerror}: {item.python}."
            with state.write() as connection:
                records.end(connection, item.name, JobStatus.FAILED, error=message)
        finally:
            os.close(item.lock)


def has_runner(home: Path, root: str) -> bool:
    """Whether a runner is alive for a submitted job."""
    try:
        descriptor = os.open(_lock_file(home, root), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire_lock(home: Path, name: str) -> int | None:
    file = _lock_file(home, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _lock_file(home: Path, root: str) -> Path:
    return job_folder(home, root) / "runner.lock"


def _spawn(home: Path, item: Start) -> None:
    # The shell between makes the runner nobody's child: whoever submitted it need not collect it.
    command = [
        *("/bin/sh", "-c", '"$@" &', "sh"),
        *(item.python, "-P", "-m", "mlops_dagster.workspace.local.running.runner"),
        *(str(home), item.name, str(item.lock)),
    ]
    if not os.access(item.python, os.X_OK):
        raise FileNotFoundError(2, "there is no such interpreter any more", item.python)
    log = os.open(
        job_folder(home, item.name) / "runner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
    )
    try:
        subprocess.run(
            command,
            cwd=home,
            env=item.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(item.lock,),
            check=True,
        )
    finally:
        os.close(log)


def _next(connection: sqlite3.Connection, held_back: Collection[str] = ()) -> sqlite3.Row | None:
    """The oldest waiting job whose target has the nodes for it."""
    keys = connection.execute(
        "SELECT DISTINCT compute_key FROM jobs WHERE status = 'Queued'"
    ).fetchall()
    for (key,) in keys:
        (busy,) = connection.execute(
            "SELECT coalesce(sum(nodes), 0) FROM jobs"  # noqa: S608 - the states stand above
            f" WHERE compute_key = ? AND status IN ({_ACTIVE})",
            (key,),
        ).fetchone()
        for row in connection.execute(
            "SELECT name, root, nodes, max_nodes FROM jobs"
            " WHERE compute_key = ? AND status = 'Queued' ORDER BY queued_at, sequence LIMIT ?",
            (key, len(held_back) + 1),
        ):
            if row["name"] not in held_back:
                if busy + row["nodes"] <= row["max_nodes"]:
                    found: sqlite3.Row = row
                    return found
                break
    return None


def _end_lost_job(state: State, root: str) -> None:
    """End what is left of a job whose runner is gone, and say so.

    One whose runner never began is queued again, a few times.
    """
    lock = _acquire_lock(state.home, root)
    if lock is None:  # somebody else is at it
        return
    try:
        with state.read() as connection:
            rows = connection.execute("SELECT * FROM jobs WHERE root = ?", (root,)).fetchall()
        active = [row for row in rows if records.status_of(row) in ACTIVE]
        for row in active:
            leads = row["pid"] is not None and is_alive(row["pid"], row["pid_created"])
            leaders = [row["pid"]] if leads else []
            ProcessTree(leaders, mark=mark(state.home, row["name"])).end(grace=0)
            _clean_up(state, row["name"])
        with state.write() as connection:
            for row in active:
                _end_lost_row(connection, state.home, row)
    finally:
        os.close(lock)


def _clean_up(state: State, job: str) -> None:
    from mlops_dagster.workspace.local.storage import artifacts
    from mlops_dagster.workspace.local.storage.storage import Storage
    from mlops_dagster.workspace.local.tracking import end_runs

    with suppress(WorkspaceUnavailable):
        end_runs(state.home, job, JobStatus.FAILED, restart=False)
    storage = Storage(state)
    with suppress(OSError):
        artifacts.keep(state.home, storage, job)
    artifacts.clear(state.home, storage, job)


def _end_lost_row(connection: sqlite3.Connection, home: Path, row: sqlite3.Row) -> None:
    name = row["name"]
    never_began = name == row["root"] and row["pid"] is None
    if never_began and row["cancel"]:
        records.end(connection, name, JobStatus.CANCELED, error="It was canceled.")
        return
    if never_began and row["starts"] < _STARTS:
        records.update_status(connection, name, JobStatus.QUEUED, only_from=ACTIVE)
        return
    last_line = tail(job_folder(home, name) / "runner.log", 1) if never_began else ""
    if last_line:
        error = f"Its runner could not start: {last_line}"
        records.end(connection, name, JobStatus.FAILED, error=error)
    else:
        # As on Azure ML, where no heartbeat came: it says nothing about the job itself.
        records.end(connection, name, JobStatus.NOT_RESPONDING, error=_LOST)
