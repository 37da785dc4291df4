"""Trees of processes: found wherever they have forked to, and ended to the last one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mlops_dagster.system.process_tree import MARK, ProcessTree, identity, is_alive

# Writes its process id when it is ready, by a rename so that the file is never seen half-written.
_READY = 'echo $$ > "$0.part"; mv "$0.part" "$0"; '
_DEAF = "trap '' TERM INT; " + _READY + "while true; do sleep 60; done"


class Shell:
    """Starts shells that are gone when the test is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._others: list[psutil.Process] = []

    def start(self, script: str, **environment: str) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(
            ["/bin/sh", "-c", script],
            cwd=self._folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self._started.append(started)
        return started

    def ready(self, name: str) -> psutil.Process:
        file = self._folder / name
        subprocess.run(
            ["/bin/sh", "-c", f"until [ -e '{file}' ]; do sleep 0.02; done"], check=True, timeout=30
        )
        process = psutil.Process(int(file.read_text()))
        self._others.append(process)
        return process

    def end(self) -> None:
        for other in self._others:
            with suppress(psutil.NoSuchProcess):
                other.kill()
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.end()


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_process_that_ignores_sigterm_is_killed(shell: Shell) -> None:
    leader = shell.start(f"sh -c '{_quoted(_DEAF)}' deaf & wait")
    deaf = shell.ready("deaf")
    assert ProcessTree([leader.pid]).end(grace=0.2) >= 2
    leader.wait()
    assert not runs(deaf)


@pytest.mark.skipif(sys.platform == "darwin", reason="setsid is not a command of macOS")
def test_one_that_left_session_environment_and_parent_behind_is_ended_as_it_was_seen(
    shell: Shell,
) -> None:
    leader = shell.start(f"env -i setsid sh -c '{_quoted(_DEAF)}' deaf & wait", **{MARK: "job"})
    deaf = shell.ready("deaf")
    ProcessTree([leader.pid], mark="job").end(grace=0.2)
    leader.wait()
    assert not runs(deaf)


@pytest.mark.skipif(sys.platform == "darwin", reason="setsid is not a command of macOS")
def test_a_mark_finds_what_its_parent_has_left(shell: Shell) -> None:
    leader = shell.start(f"setsid sh -c '{_quoted(_DEAF)}' deaf & exit", **{MARK: "mine"})
    orphan = shell.ready("deaf")
    leader.wait()
    assert orphan in ProcessTree(mark="mine").living()
    assert ProcessTree(mark="another's").living() == set()
    ProcessTree(mark="mine").end(grace=0)
    assert not runs(orphan)


def test_a_leader_that_is_interrupted_may_end_the_others_itself(
    shell: Shell, tmp_path: Path
) -> None:
    child = f"trap 'touch ended; exit' USR1; {_READY} while true; do sleep 0.05; done"
    leader = shell.start(
        f"sh -c '{_quoted(child)}' child & child=$!;"
        " trap 'kill -s USR1 $child; wait $child; exit 0' INT;" + _ready("parent") + "wait"
    )
    shell.ready("child")
    shell.ready("parent")
    ProcessTree([leader.pid]).end(interrupt_seconds=20, grace=0)
    assert leader.wait() == 0
    assert (tmp_path / "ended").exists()


def test_descendants_are_ended_without_the_process_itself(shell: Shell) -> None:
    leader = shell.start(
        f"sh -c '{_quoted(_DEAF)}' deaf & {_ready('leader')} wait; kill -s STOP $$"
    )
    deaf = shell.ready("deaf")
    ProcessTree(parent=shell.ready("leader").pid).end(grace=0)
    assert not runs(deaf)
    assert leader.poll() is None


def test_an_identity_tells_a_process_from_a_later_one_of_its_number(shell: Shell) -> None:
    leader = shell.start("exec sleep 60")
    pid, created = identity(leader.pid)
    assert is_alive(pid, created)
    assert not is_alive(pid, created - 5)
    leader.kill()
    leader.wait()
    assert not is_alive(pid, created)
    assert not is_alive(*identity(pid))


def _ready(name: str) -> str:
    return _READY.replace("$0", name)


def _quoted(script: str) -> str:
    return script.replace("'", "'\\''")
