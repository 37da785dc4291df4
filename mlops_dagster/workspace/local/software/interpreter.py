"""The Python that a job's processes find, and the variables by which they find it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# What would let the submitter's own Python show through in another one.
_OF_A_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")


@dataclass(frozen=True)
class Interpreter:
    """A Python for a job.

    Attributes:
        python: the program.
        folders: what PATH begins with.
        variables: what else its processes get.
        apart: whether nothing of the submitter's own Python is to be found beside it.
    """

    python: Path
    folders: tuple[Path, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    apart: bool = False

    def within(self, variables: Mapping[str, str]) -> dict[str, str]:
        """These variables, changed so that ``python`` is this one."""
        kept = dict(variables)
        path = kept.get("PATH", os.defpath).split(os.pathsep)
        if self.apart:
            own = {str(Path(sys.executable).parent)}
            own |= {f"{kept[name]}/bin" for name in _OF_A_PYTHON if name in kept}
            path = [folder for folder in path if folder not in own]
            kept = {name: value for name, value in kept.items() if name not in _OF_A_PYTHON}
        return {
            **kept,
            "PATH": os.pathsep.join((*map(str, self.folders), *path)),
            **self.variables,
        }


def current_interpreter() -> Interpreter:
    """The one that runs this."""
    python = Path(sys.executable)
    return Interpreter(python, (python.parent,))


def environment_interpreter(python: Path) -> Interpreter:
    """The one of a virtual environment, by the path that the environment knows it by."""
    variables = {}
    if (python.parent.parent / "pyvenv.cfg").is_file():
        variables["VIRTUAL_ENV"] = str(python.parent.parent)
    return Interpreter(python, (python.parent,), variables, apart=True)


def named_interpreter(python: Path, place: Path) -> Interpreter:
    """One that somebody named; ``python`` is made to mean it by a script below ``place``."""
    found = environment_interpreter(python)
    beside = python.parent / "python"
    if beside.exists() and beside.samefile(python):
        return found
    place.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        script(place / name, f'exec {shlex.quote(str(python))} "$@"')
    return Interpreter(python, (place, *found.folders), found.variables, apart=True)


def script(file: Path, text: str) -> None:
    """Write a program for the shell."""
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
