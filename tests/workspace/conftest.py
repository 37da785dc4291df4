"""What every test of a workspace stands on: the workspace itself, and jobs written as YAML."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest
import yaml

from mlops_dagster.aml import Job, load_job
from mlops_dagster.workspace import Workspace, connect
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.local.queue import queue

WriteJob = Callable[..., Job]


# A new workspace: one name here, and the contract suite runs against it as well.
@pytest.fixture(params=["local"])
def workspace(request: pytest.FixtureRequest, mlops_home: Path) -> Iterator[Workspace]:
    opened = connect(request.param)
    yield opened
    opened.close()
    nothing_is_left_of(mlops_home)


@pytest.fixture
def local(mlops_home: Path) -> Iterator[LocalWorkspace]:
    """The local workspace, with no project at hand."""
    opened = LocalWorkspace(mlops_home)
    yield opened
    opened.close()
    nothing_is_left_of(mlops_home)


@pytest.fixture
def job(tmp_path: Path) -> WriteJob:
    """Writes a job's YAML to ``job.yml`` and loads it; every command gets an environment."""

    def write(text: str, **overrides: Any) -> Job:
        content = yaml.safe_load(dedent(text))
        _with_environments(content)
        file = tmp_path / "job.yml"
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return load_job(file, overrides=overrides)

    return write


def until(condition: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def at_rest(home: Path) -> Path:
    """A home in which no runner works any more: one whose job has ended still clears up."""
    locks = (home / "jobs").glob("*/runner.lock")
    names = [lock.parent.name for lock in locks]
    until(lambda: not any(queue.has_runner(home, name) for name in names))
    return home


def runs(pid: int) -> bool:
    """Whether a process still does something."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def nothing_is_left_of(home: Path) -> None:
    """End the services of a home; then no process may be left that knows of it."""
    LocalWorkspace(home).stop_services()
    deadline = time.monotonic() + 15
    while left := _processes_of(home):
        if time.monotonic() > deadline:
            for process in left:
                process.kill()
            pytest.fail(f"left behind: {[process.info['cmdline'] for process in left]}")
        time.sleep(0.02)


def _processes_of(home: Path) -> list[psutil.Process]:
    """The runners and services of a home, and the processes of its jobs."""
    found = []
    me = psutil.Process().pid
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        if process.pid == me or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        environment = process.info["environ"] or {}
        of_job = "MLOPS_JOB" in environment and environment.get("MLOPS_HOME") == str(home)
        if of_job or any(str(home) in word for word in process.info["cmdline"] or ()):
            found.append(process)
    return found


def _with_environments(content: Any) -> None:
    if isinstance(content, dict):
        if isinstance(content.get("command"), str):
            content.setdefault("environment", "azureml:any@latest")
        for value in content.values():
            _with_environments(value)
