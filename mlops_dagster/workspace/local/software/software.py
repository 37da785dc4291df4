"""What an environment asks for, in the words of pip."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.workspace.local.software.conda_names import (
    NOT_ON_PYPI,
    NOTHING_TO_INSTALL,
    RENAMED,
)

if TYPE_CHECKING:
    from mlops_dagster.aml.environment import Environment

# What conda calls a MatchSpec, as far as environment files use it: a channel, a name, a version, a build.
# See docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html
_CONDA = re.compile(
    r"^(?:[^\s:]+::)?(?P<name>[A-Za-z0-9_.-]+)\s*(?P<version>[=<>!~\s][^\[]*)?(?:\[.*\])?$"
)
_PATH_OPTION = re.compile(r"(?:-e|--editable|-c|--constraint|-f|--find-links)[\s=]\s*")
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


def required_software(environment: Environment | None) -> Software:
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


def missing_packages(software: Software, interpreter: Path | None = None) -> list[str]:
    """The requirements that an interpreter does not meet, as they were written.

    Args:
        interpreter: by default the one that runs this.

    Lines that name a file, an address or an option are left out: nothing can be said of them
    without installing them.
    """
    version_of = _versions_of(interpreter)
    return [line for line in software.requirements if not _met(line, version_of)]


def read_requirements(file: Path) -> tuple[str, ...]:
    """The lines of a file of requirements, with those of the files that it names.

    Paths in it become absolute, for whoever reads the lines elsewhere.
    """
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(_pip_lines(lines, file.parent))


# ``-e PATH``, ``git+https://...#egg=NAME``: what pip builds from sources.
_FROM_SOURCE = re.compile(r"(?:-e|--editable)\b|(?:git|hg|svn|bzr)\+")
_EGG = re.compile(r"[#&]egg=([\w.-]+)")


def _met(line: str, version_of: Callable[[str], str | None]) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    if _FROM_SOURCE.match(line):
        egg = _EGG.search(line)
        return egg is not None and version_of(egg[1]) is not None
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return True  # an option, or a path
    if requirement.marker and not requirement.marker.evaluate():
        return True
    version = version_of(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _versions_of(interpreter: Path | None) -> Callable[[str], str | None]:
    if interpreter is None or interpreter == Path(sys.executable):
        return _version_here
    command = [str(interpreter), "-c", _LIST_INSTALLED]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(ran.stdout)
    from packaging.utils import canonicalize_name

    installed = {canonicalize_name(name): version for name, version in found.items()}
    return lambda name: installed.get(canonicalize_name(name))


def _version_here(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pip_lines(lines: Iterable[Any], base: Path | None) -> Iterator[str]:
    """The lines of a pip section, with those of the requirement files that it names in place."""
    for line in (re.sub(r"(^|\s)#.*", "", str(line)).strip() for line in lines):
        named = re.match(r"^(?:-r|--requirement)[\s=]*(.+)$", line)
        if named and base is not None and (file := base / named[1].strip()).is_file():
            yield from _pip_lines(file.read_text(encoding="utf-8").splitlines(), file.parent)
        elif line:
            yield line if base is None else _absolute(line, base)


def _absolute(line: str, base: Path) -> str:
    """A line whose path, where it is one, starts from the root."""
    option, path = _PATH_OPTION.match(line), line
    if option:
        path = line[option.end() :]
    elif not re.match(r"\.{0,2}/|.*\.(?:whl|tar\.gz|zip)$", line):
        return line
    if "://" in path or not (base / path).exists():
        return line
    # `..` is folded by name, as pip does.
    return (option[0] if option else "") + os.path.abspath(base / path)  # noqa: PTH100


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
