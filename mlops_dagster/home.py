"""What lies around a folder: its project, the list of projects, and this machine's state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PROJECT_FILE = "project.yaml"
ROOT_FILE = "workspace.yaml"

_NAME = ".mlops"
_ROOT_MARKS = (_NAME, ROOT_FILE)


def find_home(start: Path | None = None) -> Path:
    """The state folder for work that starts in ``start`` (by default the current directory).

    It holds jobs and data of the local workspace and ledgers of landings. ``$MLOPS_HOME``; else
    ``.mlops`` in the nearest folder upwards that has one or that holds a ``workspace.yaml``; else
    ``.mlops`` in ``start``. It need not exist yet.
    """
    if chosen := os.environ.get("MLOPS_HOME"):
        return Path(chosen).expanduser().absolute()
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _ROOT_MARKS):
            return folder / _NAME
    return start / _NAME


def make_home(home: Path) -> None:
    """Make the state folder where there is none, for its owner alone (mode 0700).

    One of an earlier version is closed to others as well. A folder of another name that was there
    before keeps its mode: it was chosen by whoever made it. Raises OSError.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
        return
    mode = home.stat().st_mode
    if home.name == _NAME and mode & 0o077:
        with suppress(PermissionError):  # somebody else's
            home.chmod(mode & 0o700)


def find_project(start: Path | None = None) -> Path | None:
    """The nearest folder, from ``start`` upwards, that holds a project.yaml; None without one."""
    return _nearest(PROJECT_FILE, start)


def find_projects(start: Path | None = None) -> list[Path]:
    """The project around ``start``; outside of every project, those that workspace.yaml lists."""
    around = find_project(start)
    if around is not None:
        return [around]
    root = find_root(start)
    return list(dict.fromkeys(_listed_projects(root))) if root is not None else []


def find_root(start: Path | None = None) -> Path | None:
    """The nearest folder, from ``start`` upwards, that holds a workspace.yaml."""
    return _nearest(ROOT_FILE, start)


def _nearest(name: str, start: Path | None) -> Path | None:
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / name).is_file():
            return folder
    return None


def _listed_projects(root: Path) -> Iterator[Path]:
    """The folders of the code locations that workspace.yaml lists, those that hold a project."""
    import yaml

    try:
        declared = yaml.safe_load((root / ROOT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return  # Dagster says what is wrong with it
    entries: Any = declared.get("load_from") if isinstance(declared, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        file = entry.get("python_file") if isinstance(entry, dict) else None
        path = file.get("relative_path") if isinstance(file, dict) else file
        if isinstance(path, str) and (root / path).parent.joinpath(PROJECT_FILE).is_file():
            yield (root / path).parent
