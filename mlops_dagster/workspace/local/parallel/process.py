"""A worker process as the driver sees it: started, sent to, heard from, ended.

Each has a process group of its own, held by a guard: a shell that waits on a pipe whose other end
only the driver has. When the driver is gone, however it went, the guard kills the group: the worker,
even one that hangs in native code, and whatever it started. And since the guard lives as long as the
driver wants, the group's number cannot have become somebody else's when the driver kills it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import psutil

from mlops_dagster.system.process_tree import kill_group
from mlops_dagster.workspace.local.parallel.plan import Plan, available_cores
from mlops_dagster.workspace.local.parallel.task_queue import Task
from mlops_dagster.workspace.local.parallel.worker.framing import Decoder, encode

_WORKER = Path(__file__).parent / "worker"
_GUARD = ("/bin/sh", "-c", "read _; kill -s KILL 0")
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# Between the end of its connection and the end of a process.
_LAST_BREATH_SECONDS = 0.5

Phase = Literal["starting", "idle", "loading", "running", "ending", "leaving"]


class Lifeline:
    """The pipe that the guards wait on; it breaks when this process ends, or on ``close``."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def close(self) -> None:
        os.close(self._writer)
        os.close(self.reader)


class Worker:
    """One worker process.

    Args:
        slot: the place that it takes, from 0; tells the node.
        name: ``processNNN``; a replacement has a new one.
        spool: where its rows go; None where nobody wants them.

    Attributes:
        phase: what it is doing, and ``deadline`` until when (``time.monotonic()``).
        tasks: what it was given, the first one at work.
        replace: it is not to be given more: it holds too much memory or is in doubt.
    """

    def __init__(
        self, plan: Plan, slot: int, name: str, spool: Path | None, lifeline: Lifeline
    ) -> None:
        self.name = name
        self.slot = slot
        self.node = str(slot // plan.processes_per_instance)
        self.spool = spool
        self.phase: Phase = "starting"
        self.deadline = time.monotonic() + plan.first_task_creation_timeout
        self.tasks: deque[Task] = deque()
        self.replace = False
        self._decoder = Decoder()
        self._unsent = bytearray()
        self.connection, theirs = socket.socketpair()
        self.connection.setblocking(False)
        with theirs:
            self._guard = subprocess.Popen(
                _GUARD,
                stdin=lifeline.reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
            try:
                self._process = self._start(plan, theirs)
            except BaseException:
                self._guard.kill()
                self._guard.wait()
                self.connection.close()
                raise
        self.send(_setup(plan, spool))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    @property
    def is_dead(self) -> bool:
        return self._process.poll() is not None

    def is_at(self, batch: int) -> bool:
        """Whether this is the mini batch that it has to speak of now."""
        return bool(self.tasks) and self.tasks[0].batch.index == batch

    def send(self, message: dict[str, Any]) -> None:
        """Send as much as the socket takes now; the rest goes with ``send_more``."""
        self._unsent += encode(message)
        self.send_more()

    def send_more(self) -> None:
        # A worker that is gone is noticed where it is listened to.
        with suppress(BlockingIOError, BrokenPipeError, ConnectionError):
            while self._unsent:
                del self._unsent[: self.connection.send(self._unsent)]

    def receive(self) -> Sequence[dict[str, Any]] | None:
        """What it has said; None when it is gone. Raises BrokenFrame."""
        try:
            data = self.connection.recv(1 << 18)
        except BlockingIOError:
            return ()
        except OSError:
            return None
        return self._decoder.feed(data) if data else None

    def memory(self) -> int:
        """Bytes that it holds in memory; 0 when it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def end(self) -> int:
        """Kill it and all that it started; returns its exit status, negative for a signal."""
        # So that the status of one that is ending by itself is its own.
        if self._is_gone():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_LAST_BREATH_SECONDS)
        kill_group(self._guard.pid)
        status = self._process.wait()
        self._guard.wait()
        self.connection.close()
        return status

    def _is_gone(self) -> bool:
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _start(self, plan: Plan, theirs: socket.socket) -> subprocess.Popen[bytes]:
        user = plan.logs / "user"
        out = user / "stdout" / self.node / f"{self.name}.stdout.txt"
        err = user / "stderr" / self.node / f"{self.name}.stderr.txt"
        for file in (out, err):
            file.parent.mkdir(parents=True, exist_ok=True)
        with out.open("ab") as stdout, err.open("ab") as stderr:
            return subprocess.Popen(
                [
                    plan.interpreter,
                    str(_WORKER / "__main__.py"),
                    str(theirs.fileno()),
                ],
                cwd=plan.code,
                env=_environment(plan, self.name, self.node),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(theirs.fileno(),),
                process_group=self._guard.pid,
            )


def _setup(plan: Plan, spool: Path | None) -> dict[str, Any]:
    return {
        "type": "setup",
        "script": str(plan.script),
        "code": str(plan.code),
        "arguments": list(plan.arguments),
        "shim": str(_WORKER / "shim"),
        "spool": None if spool is None else str(spool),
    }


def _environment(plan: Plan, name: str, node: str) -> dict[str, str]:
    environment = dict(os.environ)
    if not any(variable in environment for variable in _THREADS):
        share = max(1, available_cores() // plan.workers)
        environment.update(dict.fromkeys(_THREADS, str(share)))
    if plan.output_folder is not None:
        environment["AZUREML_BI_OUTPUT_PATH"] = str(plan.output_folder)
    facts = {
        "process": name,
        "log_dir": str(plan.logs / "user" / "entry_script_log" / node),
        "working_dir": str(plan.code),
        "logging_level": plan.logging_level,
    }
    environment["MLOPS_PARALLEL_WORKER"] = json.dumps(facts)
    return environment
