"""Following a job: its lines as they are written, and a live line about its state."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from mlops_dagster.cli.output import console, duration, is_interactive, note, visible
from mlops_dagster.errors import JobFailed, MlopsError

if TYPE_CHECKING:
    from rich.text import Text

    from mlops_dagster.workspace import Workspace
    from mlops_dagster.workspace.ports import JobRecord, Jobs, LogLine

_TAIL = 20
# "Select Graphic Rendition": colours and weights, which cannot move the cursor (ECMA-48, 8.3.117).
_SGR = re.compile(r"(\x1b\[[0-9;]*m)")
# The last line of the traceback that Python prints.
_MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_STEP_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")


def follow(workspace: Workspace, name: str, *, stderr: bool = False) -> JobRecord:
    """Print a job's lines until it has ended, and return it as it is then.

    Ctrl-C only stops the following: the job goes on, and a note says how to come back to it.

    Args:
        stderr: print the lines there, where stdout is kept for JSON.

    Raises:
        NotFound: there is no such job.
        typer.Exit: with status 130, after Ctrl-C.
    """
    try:
        if is_interactive(stderr=stderr):
            _follow_live(workspace.jobs, name, stderr=stderr)
        else:
            stream = sys.stderr if stderr else sys.stdout
            for line in workspace.jobs.stream(name):
                print(_plain_line(line), file=stream, flush=True)
        return workspace.jobs.wait(name)
    except KeyboardInterrupt:
        prefix = command_prefix(workspace)
        note(
            f"\nJob {name} goes on in the background.\n"
            f"  Follow it again: {prefix}mlops job stream {name}\n"
            f"  End it:          {prefix}mlops job cancel {name}"
        )
        raise typer.Exit(130) from None


def log_lines(jobs: Jobs, record: JobRecord, *, tail: int | None) -> Iterator[LogLine]:
    """What a job has written so far: its last ``tail`` lines, or all of it and of its steps.

    What an ended job wrote is read as a stream, so that a log of any size fits.
    """
    from mlops_dagster.workspace.ports import LogLine

    if record.status.is_terminal and tail is None:
        yield from jobs.stream(record.name)
        return
    yield from (LogLine(record.name, "", text) for text in _lines(jobs.log(record.name, tail=tail)))
    if tail is None:
        for step in reversed(jobs.list(parent=record.name)):
            key = step.step or step.name
            yield from (LogLine(step.name, key, text) for text in _lines(jobs.log(step.name)))


def print_line(line: LogLine) -> None:
    """Print one line: on a terminal so that it steers nothing, elsewhere as it was written."""
    if sys.stdout.isatty():
        console().print(printable(_plain_line(line)), soft_wrap=True)
    else:
        print(_plain_line(line))


def raise_unless_completed(jobs: Jobs, record: JobRecord) -> None:
    """Raise JobFailed where a job that was followed did not complete.

    The end of the failed step's own log goes with it where stderr is read apart from the lines
    that were printed before.
    """
    from mlops_dagster.workspace.ports import JobStatus

    if record.status is JobStatus.COMPLETED:
        return
    culprit, path = _culprit(jobs, record)
    reason = record.error or "it gives no reason"
    if path and culprit.error and culprit.error not in reason:
        reason = f"step {'.'.join(path)}: {culprit.error}"
    log_tail = _tail(jobs, culprit)
    failed = JobFailed(record.name, record.status, reason, "" if _is_one_stream() else log_tail)
    if missing := _MISSING_MODULE.search(f"{reason}\n{log_tail}"):
        failed.remedy = (
            f"Module {missing[1]} is not installed where the job ran. `--isolate` runs it in the "
            "environment that its conda file describes; or install it here."
        )
    raise failed


def _is_one_stream() -> bool:
    """Whether stdout and stderr are read together: on one terminal, or in one file or pipe."""
    try:
        out, err = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)


def command_prefix(workspace: Workspace) -> str:
    """What must stand before `mlops` in the current directory to reach this workspace's state."""
    return "".join(f"{name}={shlex.quote(text)} " for name, text in workspace.variables.items())


def _culprit(jobs: Jobs, record: JobRecord) -> tuple[JobRecord, list[str]]:
    """The step, or the step of a step, that failed first; the job itself where none did."""
    path: list[str] = []
    while True:
        failed = [
            step
            for step in jobs.list(parent=record.name)
            if step.status in ("Failed", "NotResponding")
        ]
        if not failed:
            return record, path
        record = min(failed, key=lambda step: step.ended_at or datetime.max.replace(tzinfo=UTC))
        path.append(record.step or record.name)


def _tail(jobs: Jobs, record: JobRecord) -> str:
    try:
        text = jobs.log(record.name, tail=_TAIL)
    except MlopsError:
        return ""
    return "\n".join(_SGR.sub("", _last_state(line)) for line in _lines(text))


def _follow_live(jobs: Jobs, name: str, *, stderr: bool) -> None:
    from rich.live import Live
    from rich.text import Text

    screen = console(stderr=stderr)
    state = _State(jobs, name)
    colours: dict[str, str] = {}
    with Live(get_renderable=state.line, console=screen, refresh_per_second=5, transient=True):
        for line in jobs.stream(name):
            text = Text()
            if line.step:
                colour = colours.setdefault(
                    line.step, _STEP_COLOURS[len(colours) % len(_STEP_COLOURS)]
                )
                text.append(f"{line.step} | ", style=colour)
            text.append_text(printable(line.text))
            screen.print(text, soft_wrap=True)


def _plain_line(line: LogLine) -> str:
    return f"{line.step} | {line.text}" if line.step else line.text


def _lines(text: str) -> list[str]:
    """Lines as they end in a file; str.splitlines would cut at form feeds and the like too."""
    return text.removesuffix("\n").split("\n") if text else []


def printable(line: str) -> Text:
    """A job's line for a terminal: colours are kept, all else that steers one is written out.

    Of a line that overwrites itself (a progress bar) the last state is left.
    """
    from rich.text import Text

    parts = _SGR.split(_last_state(line))
    return Text.from_ansi(
        "".join(part if i % 2 else visible(part, lines=True) for i, part in enumerate(parts))
    )


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


class _State:
    """The live line: what the job is doing now; asks the workspace at most once a second."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        self._jobs = jobs
        self._name = name
        self._asked = -1.0
        self._record: JobRecord | None = None
        self._steps: list[JobRecord] = []

    def line(self) -> Text:
        from rich.text import Text

        now = time.monotonic()
        if now - self._asked >= 1:
            self._asked = now
            # The stream raises what is wrong with the workspace; this line is only for information.
            with contextlib.suppress(MlopsError):
                self._record = self._jobs.get(self._name)
                self._steps = list(self._jobs.list(parent=self._name))
        return Text("  ".join(self._parts()), style="dim", no_wrap=True, overflow="ellipsis")

    def _parts(self) -> Iterator[str]:
        record = self._record
        if record is None:
            return
        yield f"{record.name} {record.status}{_elapsed(record)}"
        if self._steps:
            ended = sum(step.status.is_terminal for step in self._steps)
            yield f"{ended} of {len(self._steps)} steps ended"
        for step in self._steps:
            if not step.status.is_terminal and step.started_at:
                yield f"{step.step} {step.status}{_elapsed(step)}"


def _elapsed(record: JobRecord) -> str:
    if record.started_at is None or record.status.is_terminal:
        return ""
    return f" {duration((datetime.now(UTC) - record.started_at).total_seconds())}"
