"""On a terminal of 80 columns no table is wider, whatever its cells hold."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from mlops_dagster.workspace import Workspace, connect

from .conftest import Mlops, program_path

COLUMNS = 80
LONG = "a_model_whose_name_says_all_that_it_was_ever_trained_for_and_by_whom_in_which_year"
TABLES = [
    "job list",
    "job list --tree",
    f"job show {LONG}",
    f"job compare {LONG} short",
    "job list --query [].{Name:name,Status:status,Experiment:experiment_name} -o table",
    "model list",
    f"model show {LONG}",
    "data list",
    f"data show {LONG}",
    "compute list",
    "compute show cpu-cluster",
    "schedule list",
    "schedule show nightly",
    "doctor",
]
FILES = {
    "project.yaml": "name: p\n",
    ".cloud/local/compute/cpu-cluster.yml": (
        "name: cpu-cluster\ntype: amlcompute\nsize: STANDARD_DS3_v2_OF_A_LONG_NAME\n"
    ),
    "job.yml": (
        "type: command\nenvironment: {image: i}\ndescription: " + "word " * 40 + "\n"
        "command: 'true'\ninputs: {text: " + "x" * 100 + "}\ntags: {tag: " + "y" * 90 + "}\n"
    ),
    "schedule.yml": (
        "name: nightly\ntrigger: {type: cron, expression: '0 3 * * *', "
        "time_zone: America/Argentina/ComodRivadavia}\ncreate_job: ./job.yml\n"
    ),
}


@pytest.fixture
def filled(here: Path, mlops: Mlops) -> Iterator[Workspace]:
    """A workspace whose names are long."""
    for name, content in FILES.items():
        file = here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    (here / "model.txt").write_text("weights")
    workspace = connect("local")
    tags = {f"metric.{'m' * number}": "0.5" for number in range(1, 33)}
    workspace.models.register(LONG, str(here / "model.txt"), type="custom_model", tags=tags)
    workspace.data.register(LONG, str(here / "model.txt"), type="uri_file")
    for name in (LONG, "short"):
        assert mlops("job", "run", "job.yml", "-n", name, "--experiment-name", "e" * 60).status == 0
    assert mlops("schedule", "create", "--file", "schedule.yml").status == 0
    yield workspace
    workspace.close()


@pytest.mark.slow
def test_no_table_is_wider_than_the_terminal(filled: Workspace) -> None:
    for table in TABLES:
        printed = on_terminal(table.split())
        wide = [line for line in printed if cell_len(line) > COLUMNS]
        assert (table, wide) == (table, [])
        assert len(printed) > 1, table


@pytest.mark.slow
def test_names_are_never_cut(filled: Workspace) -> None:
    for table in ("job list", "model list", "data list"):
        whole = "".join(line[:40].strip() for line in on_terminal(table.split()))
        assert LONG[:20] in whole, table
        assert "…" not in "".join(line.split("  ")[0] for line in on_terminal(table.split()))


def test_an_ordinary_list_fits_80_columns_without_a_terminal_too(mlops: Mlops, here: Path) -> None:
    (here / "train.yml").write_text(FILES["job.yml"])
    assert mlops("job", "run", "train.yml", "--experiment-name", "flight_delays").status == 0
    lines = mlops("job", "list").out.splitlines()
    assert max(map(len, lines)) <= COLUMNS


def on_terminal(arguments: list[str]) -> list[str]:
    """The lines that the command prints on a terminal of 80 columns, without their colours."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    without = ("COLUMNS", "NO_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in without}
    process = subprocess.Popen(
        [program_path(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
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
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode())
    return text.replace("\r", "").splitlines()
