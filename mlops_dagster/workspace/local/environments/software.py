"""What an environment asks for, in the words of pip."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlops_dagster.aml.environment import Environment
from mlops_dagster.workspace.local.environments.conda_names import (
    NOT_ON_PYPI,
    NOTHING_TO_INSTALL,
    RENAMED,
)

# What conda calls a MatchSpec, as far as environment files use it: a channel, a name, a version, a build.
# See docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html
_CONDA = re.compile(
    r"^(?:[^\s:]+::)?(?P<name>[A-Za-z0-9_.-]+)\s*(?P<version>[=<>!~\s][^\[]*)?(?:\[.*\])?$"
)
_LIST_INSTALLED = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions() "
    "if d.metadata['Name']}))"
)


@dataclass(frozen=True)
class Software:
    """What a job's command expects to find.

    Attributes:
        python: the interpreter's version, such as ``3.10``; None for any.
        requirements: lines for pip, without the files that they came from.
        unavailable: conda packages that PyPI does not have.
        image: the container image that would bring the rest on Azure.
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()
    image: str | None = None


def software_of(environment: Environment | None) -> Software:
    """Read an environment's conda specification; an image alone asks for nothing that pip has."""
    if environment is None:
        return Software()
    conda = environment.conda or {}
    base = environment.conda_file.parent if environment.conda_file else None
    python: str | None = None
    requirements: list[str] = []
    unavailable: list[str] = []
    for item in conda.get("dependencies") or ():
        if isinstance(item, Mapping):
            requirements += _pip_lines(item.get("pip") or (), base)
            continue
        match = _CONDA.match(str(item).strip())
        if match is None:
            unavailable.append(str(item))
            continue
        name, version = match["name"].lower(), _pip_version(match["version"] or "")
        if name == "python":
            python = _python_version(match["version"] or "")
        elif name in NOT_ON_PYPI or name.startswith("r-"):
            unavailable.append(name)
        elif name not in NOTHING_TO_INSTALL:
            requirements.append(RENAMED.get(name, name) + version)
    return Software(python, tuple(requirements), tuple(unavailable), environment.image)


def missing(software: Software, interpreter: Path | None = None) -> list[str]:
    """The requirements that an interpreter does not meet, as they were written.

    Args:
        interpreter: by default the one that runs this.

    Lines that name a file, an address or an option are left out: nothing can be said of them
    without installing them.
    """
    installed = _installed(interpreter)
    return [line for line in software.requirements if not _met(line, installed)]


def _met(line: str, installed: Mapping[str, str]) -> bool:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return True
    if requirement.url or (requirement.marker and not requirement.marker.evaluate()):
        return True
    version = installed.get(canonicalize_name(requirement.name))
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _installed(interpreter: Path | None) -> dict[str, str]:
    if interpreter is None or interpreter == Path(sys.executable):
        found = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
    else:
        command = [str(interpreter), "-c", _LIST_INSTALLED]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        found = json.loads(ran.stdout)
    return {canonicalize_name(name): version for name, version in found.items()}


def _pip_lines(lines: Iterable[Any], base: Path | None) -> Iterator[str]:
    """The lines of a pip section, with those of the requirement files that it names in place."""
    for line in (re.sub(r"(^|\s)#.*", "", str(line)).strip() for line in lines):
        named = re.match(r"^(?:-r|--requirement)[\s=]*(.+)$", line)
        if named and base is not None and (file := base / named[1].strip()).is_file():
            yield from _pip_lines(file.read_text(encoding="utf-8").splitlines(), file.parent)
        elif line:
            yield line


def _pip_version(conda: str) -> str:
    """``=1.2`` means 1.2 and whatever follows it; ``==1.2`` and ``1.2 build`` mean just that."""
    version = conda.strip()
    if not version:
        return ""
    if version.startswith("=") and not version.startswith("=="):
        number, _, build = version[1:].partition("=")
        return f"=={number.strip()}" + ("" if build or number.endswith("*") else ".*")
    if version[0].isdigit():
        return f"=={version.split()[0]}"
    return version.replace(" ", "")


def _python_version(conda: str) -> str | None:
    number = re.search(r"\d+(?:\.\d+){0,2}", conda)
    return number[0] if number else None
