"""A parallel step in a folder of its own, run by the real driver in a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

_MARK = "PARALLEL_STEP_OF_TEST"


@dataclass
class Finished:
    """How a driver ended."""

    status: int
    out: str
    error: str


@dataclass
class Step:
    """An input folder, an entry script and the plan that brings them together."""

    root: Path
    plan: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.input = self.root / "input"
        self.rows = self.root / "rows.txt"
        self.logs = self.root / "logs"
        self.state = self.root / "state"
        self.input.mkdir()
        (self.root / "code").mkdir()
        self.plan = {
            "code": str(self.root / "code"),
            "entry_script": "entry.py",
            "input": {"path": str(self.input)},
            "max_concurrency_per_instance": 2,
            "append_row_to": str(self.rows),
            "logs": str(self.logs),
            "state": str(self.state),
        }

    def script(self, text: str) -> None:
        (self.root / "code" / "entry.py").write_text(textwrap.dedent(text))

    def files(self, count: int) -> None:
        for number in range(count):
            (self.input / f"{number:03d}.txt").write_text(str(number))

    def start(
        self, environment: Mapping[str, str] | None = None, **plan: Any
    ) -> subprocess.Popen[str]:
        path = self.root / "plan.json"
        path.write_text(json.dumps(self.plan | plan))
        return subprocess.Popen(
            [sys.executable, "-m", "mlops_dagster.workspace.local.parallel", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {_MARK: str(self.root)} | dict(environment or {}),
        )

    def run(self, environment: Mapping[str, str] | None = None, **plan: Any) -> Finished:
        driver = self.start(environment, **plan)
        out, error = driver.communicate(timeout=120)
        return Finished(driver.returncode, out, error)

    def delivered(self) -> list[str]:
        return self.rows.read_text().splitlines()

    def log(self, name: str) -> str:
        """All files of this name pattern below the logs, one after the other."""
        return "".join(file.read_text() for file in sorted(self.logs.glob(name)))

    def processes(self) -> list[psutil.Process]:
        """Every process that this step's driver, or a child of it, has started and is alive."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and process.environ().get(_MARK) == str(self.root):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def workers(self) -> list[psutil.Process]:
        """The worker processes that are alive."""
        found = []
        for process in self.processes():
            try:
                if "worker/__main__.py" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for a condition; fails when it takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.02)

    def await_file(self, name: str) -> str:
        path = self.root / name
        self.until(lambda: path.exists() and path.read_text() != "")
        return path.read_text()

    def await_end_of_all(self) -> None:
        self.until(lambda: not self.processes())


@pytest.fixture
def step(tmp_path: Path) -> Iterator[Step]:
    made = Step(tmp_path)
    yield made
    left = made.processes()
    for process in left:
        process.send_signal(signal.SIGKILL)
    assert not left, "the step left processes behind"
