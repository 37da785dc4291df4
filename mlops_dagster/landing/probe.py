"""Whether files can be read, asked of a process that may crash, hang or run out of memory."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlops_dagster.landing.rules import Acceptance
from mlops_dagster.landing.values import Reason, Refusal

_INSPECTOR = Path(__file__).with_name("inspector.py")
_START = 60.0  # seconds for the process to load its libraries, on a busy machine


class Probe:
    """Looks at one file after the other; a context manager.

    One process serves many files. Where a file kills it, or takes too long, that file is refused
    and the next one gets a new process.
    """

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance
        self._process: _Inspector | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def count_rows(self, path: Path, suffix: str) -> int | Refusal:
        """How many rows the file holds, or why it is refused."""
        fresh = self._process is None
        if self._process is None:
            self._process = _Inspector()
        allowed = self._acceptance
        answer = self._process.inspect(
            {
                "path": str(path),
                "suffix": suffix,
                "columns": allowed.columns,
                "memory": allowed.memory,
            },
            allowed.seconds + (_START if fresh else 0),
        )
        if answer is None:
            how = self._end()
            said = f"reading it {how}" if how else f"reading it took over {allowed.seconds:g} s"
            return Refusal(Reason.UNREADABLE, said)
        if "problem" in answer:
            return Refusal(Reason.UNREADABLE, answer["problem"])
        if answer["rows"] == 0:
            return Refusal(Reason.EMPTY, "it has no rows")
        return int(answer["rows"])

    def _end(self) -> str | None:
        """End the process; how it had ended by itself, where it had."""
        process, self._process = self._process, None
        return process.end() if process is not None else None


class _Inspector:
    """A running inspector."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_INSPECTOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def inspect(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Its answer; None where it ended or gave none in time."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=seconds)
        except (OSError, queue.Empty):
            return None
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def end(self) -> str | None:
        status = self._process.poll() if self._reader.is_alive() else self._process.wait()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if status is None or status == 0:
            return None
        return "ended its reader" + (f" (signal {-status})" if status < 0 else f" ({status})")

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")
