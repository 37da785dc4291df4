"""The interpreter of a step that is about to run: at hand, named_interpreter, built, or with an overlay."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from mlops_dagster.system import processes as process
from mlops_dagster.system.processes import Cancellation
from mlops_dagster.workspace.local.ground.plan import PlannedStep
from mlops_dagster.workspace.local.queue import queue
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.software.build import (
    Builder,
    build_environment,
    build_error,
    uv_program,
)
from mlops_dagster.workspace.local.software.choice import installs, installs_with_conda
from mlops_dagster.workspace.local.software.interpreter import (
    Interpreter,
    current_interpreter,
    environment_interpreter,
    named_interpreter,
)
from mlops_dagster.workspace.local.software.overlay import make_overlay
from mlops_dagster.workspace.local.software.software import Software
from mlops_dagster.workspace.local.storage import artifacts

_SHELL_SCRIPT = re.compile(r"[\w./-]+\.sh\b")
_LARGEST_SCRIPT = 1 << 20
# Of what uv wrote: lines in the job's log, and characters in its record.
_LINES = 100
_LONGEST_REASON = 600


class Canceled(Exception):
    """Somebody wanted the job to end while its environment was made."""


def prepare(
    home: Path, step: PlannedStep, working: Path, cancellation: Cancellation
) -> Interpreter:
    """The interpreter that a step's processes are to find; built where it is not there yet.

    Args:
        working: the folder that holds its code.

    Raises Canceled, and MlopsError where it cannot be built; uv's last words are in the job's log.
    """
    runtime, folder = step.runtime, artifacts.python_folder(home, step.job)
    builder = _JobBuilder(home, step.job, cancellation)
    if runtime.interpreter is not None:
        found = named_interpreter(Path(runtime.interpreter), folder / "bin")
    elif runtime.requirements is not None:
        software = Software(runtime.python, tuple(runtime.requirements))
        found = environment_interpreter(build_environment(software, home, builder))
        builder.end()
    else:
        found = current_interpreter()
    command = _all_commands(step, working)
    if not installs(command):
        return found
    if installs_with_conda(command):
        logs.note(
            home,
            step.job,
            "Its command installs packages with conda, which installs nothing here: name them in "
            "the conda file and run with --isolate, or use pip.",
        )
    return make_overlay(found, folder / "make_overlay", builder)


class _JobBuilder(Builder):
    """Runs uv as one of the job's processes: it ends with the job, whatever becomes of the runner."""

    def __init__(self, home: Path, job: str, cancellation: Cancellation) -> None:
        self._home = home
        self._job = job
        self._cancellation = cancellation
        self._log = queue.job_folder(home, job) / "environment.log"
        self._begun: float | None = None

    def uv(self, *arguments: str) -> None:
        self._refuse_canceled()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            ending = process.run(
                [process.Launch([uv_program(), *arguments], dict(os.environ))],
                folder=self._log.parent,
                log=log,
                mark=queue.mark(self._home, self._job),
                cancellation=self._cancellation,
            )
        finally:
            os.close(log)
        if ending.how == "canceled":
            raise Canceled
        if ending.status:
            output = logs.tail(self._log, _LINES)
            logs.append(self._home, self._job, output)
            raise build_error(arguments, output[-_LONGEST_REASON:])

    def begin(self, what: str) -> None:
        self._begun = time.monotonic()
        logs.note(self._home, self._job, f"Building its environment: {what} ...")

    def end(self) -> None:
        """Say that what was begun is done."""
        if self._begun is not None:
            seconds = time.monotonic() - self._begun
            logs.note(self._home, self._job, f"Its environment was built in {seconds:.1f} s.")

    def pause(self) -> None:
        self._refuse_canceled()
        super().pause()

    def _refuse_canceled(self) -> None:
        if self._cancellation.requested:
            raise Canceled


def _all_commands(step: PlannedStep, working: Path) -> str:
    """The step's command, with the shell scripts of its own code that it names."""
    command = step.body.get("command")
    if not isinstance(command, str):
        return ""
    texts = [command]
    for name in _SHELL_SCRIPT.findall(command):
        file = working / name
        if file.is_file() and file.stat().st_size < _LARGEST_SCRIPT:
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(texts)
