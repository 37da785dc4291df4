"""The command, called in this process or as the program that a person runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.cli import main


@dataclass(frozen=True)
class Result:
    """How a call of the command ended, and what it printed."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


Mlops = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, with no project around it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def mlops(here: Path, capsys: pytest.CaptureFixture[str]) -> Mlops:
    """Calls the command in this process."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(status, printed.out, printed.err)

    return call


@pytest.fixture
def program(here: Path) -> Mlops:
    """Runs the installed command as a process of its own."""

    def call(*arguments: object) -> Result:
        ran = subprocess.run(
            [program_path(), *map(str, arguments)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=240,
            check=False,
        )
        return Result(ran.returncode, ran.stdout, ran.stderr)

    return call


def program_path() -> Path:
    return Path(sys.executable).with_name("mlops")


@pytest.fixture
def write_job(here: Path) -> Callable[..., Path]:
    """Writes a command job's YAML file and returns its path."""

    def write(command: str, name: str = "job.yml", more: str = "") -> Path:
        file = here / name
        indented = "\n".join(f"  {line}" for line in command.splitlines())
        head = "type: command\nenvironment: {image: 'python:3.11'}\ncommand: |\n"
        file.write_text(f"{head}{indented}\n{more}", encoding="utf-8")
        return file

    return write
