"""Exit statuses, errors and the start of the command."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest, MlopsError, WorkspaceUnavailable

from .conftest import Mlops, program_path

HEAVY = ("azure", "dagster", "mlflow", "pandas", "sqlite3", "yaml")


def test_the_version_is_that_of_the_package(mlops: Mlops) -> None:
    ran = mlops("--version")
    assert (ran.status, ran.out) == (0, f"mlops {version('mlops_dagster')}\n")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from mlops_dagster.cli import main\n"
        "assert main(['job', 'run', '--help']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["job", "run"],
        ["job", "list", "--max-results", "none"],
        ["job", "list", "--query", "["],
        ["job", "show", "job", "--output", "xml"],
        ["--workspace", "mars", "job", "list"],
        ["job", "run", "missing.yml"],
        ["job", "run", "missing.yml", "--set", "no-equals-sign"],
        ["job", "show", "nobody"],
        ["model", "show", "nobody"],
        ["model", "show", "m@production"],
        ["model", "show", "m:1", "--version", "2"],
        ["data", "show", "nobody"],
        ["check", "missing"],
        ["demo"],
        ["ui"],
    ],
    ids=" ".join,
)
def test_a_wrong_request_ends_with_status_2_and_says_why(
    mlops: Mlops, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    ran = mlops(*arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert "rror" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("It is wrong."), 2),
        (MlopsError("It failed.", remedy="Try again."), 1),
        (WorkspaceUnavailable("It is gone."), 1),
        (KeyboardInterrupt(), 130),
        (ValueError("first line\nsecond line"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_becomes_an_exit_status(
    mlops: Mlops, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("mlops_dagster.workspace.connect", fails)
    ran = mlops("job", "list")
    assert ran.status == status
    assert ran.out == ""
    assert "Traceback" not in ran.err
    if isinstance(error, MlopsError):
        assert ran.err == f"Error: {error}\n"
    if isinstance(error, ValueError):
        assert ran.err == (
            "Error: ValueError: first line second line\n"
            "  Run with MLOPS_DEBUG=1 for the traceback.\n"
        )


def test_an_unexpected_error_shows_its_traceback_on_request(
    mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr("mlops_dagster.workspace.connect", fails)
    monkeypatch.setenv("MLOPS_DEBUG", "1")
    with pytest.raises(ValueError, match="unforeseen"):
        mlops("job", "list")


def test_an_errors_control_characters_do_not_reach_the_terminal(mlops: Mlops) -> None:
    ran = mlops("job", "show", "\x1b]0;owned\x07\x1b[31m[bold]")
    assert ran.status == 2
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err
    assert "[bold]" in ran.err


def test_the_word_error_is_red_only_on_a_terminal(here: Path) -> None:
    assert "\x1b[1;31mError:" in _on_terminal(["job", "show", "nobody"])


def test_a_reader_that_leaves_ends_the_command_quietly(here: Path) -> None:
    process = subprocess.Popen(
        [program_path(), "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert said == ""


def test_a_home_that_cannot_be_written_is_said_so(
    mlops: Mlops, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").write_text("not a folder")
    monkeypatch.setenv("MLOPS_HOME", str(here / "file" / "home"))
    ran = mlops("job", "list")
    assert ran.status == 1
    assert str(here / "file") in ran.err
    assert "MLOPS_HOME" in ran.err


def _on_terminal(arguments: list[str]) -> str:
    """All that the command prints on a terminal."""
    controller, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [program_path(), *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(terminal)
    printed = b""
    try:
        while chunk := os.read(controller, 4096):
            printed += chunk
    except OSError:
        pass  # Linux answers EIO once the last writer has left
    os.close(controller)
    process.wait(60)
    return printed.decode()
