"""Who may know whom: the rooms of the package, and which rooms and libraries each may import.

This table is the rule. Ruff's banned-api (TID251) is one list for the whole repository and is
switched off a file at a time, all of it at once, so it cannot say "Dagster here, but no adapter".
An import counts wherever it stands: at module level, in a function or under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "mlops_dagster"

# Libraries that only some rooms may name. Any other library is open to every room.
GUARDED = {"azure", "dagster", "mlflow", "rich", "typer"}


@dataclass(frozen=True)
class Room:
    """What a room may import beside itself, the standard library and unguarded libraries."""

    knows: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()


def room(knows: str = "", libraries: str = "") -> Room:
    return Room(frozenset(knows.split()), frozenset(libraries.split()))


# A module belongs to the longest name here that it begins with; "" is the package's own __init__.
ROOMS = {
    "errors": room(),
    "aml": room("errors"),
    "project": room("errors aml"),
    "workspace": room("errors aml"),
    "workspace.local": room("errors aml workspace", "mlflow"),
    "workspace.azure": room("errors aml workspace", "azure"),
    "landing": room("errors aml project workspace", "azure"),
    "release": room("errors aml project workspace"),
    "environments": room("errors aml project"),
    "defs": room("errors aml project workspace landing release", "dagster"),
    "location": room("errors aml project workspace defs", "dagster"),
    "cli": room(
        "errors aml project workspace workspace.local landing release environments location",
        "azure dagster mlflow rich typer",
    ),
    "": room("errors project workspace location"),
}

MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
STEPS = sorted((ROOT / "projects").glob("*/code/**/*.py"))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    here = room_of(module_name(path))
    allowed = ROOMS[here].knows | {here}
    for line, name in imports(path):
        library = name.partition(".")[0].partition("_")[0]
        if name.partition(".")[0] == PACKAGE:
            there = room_of(name)
            assert there in allowed, (
                f"{shown(path)}:{line}: {here or PACKAGE!r} may not import {name}; it knows "
                f"{', '.join(sorted(ROOMS[here].knows))}"
            )
        elif library in GUARDED:
            assert library in ROOMS[here].libraries, (
                f"{shown(path)}:{line}: {here or PACKAGE!r} may not import {name}"
            )


@pytest.mark.parametrize("path", STEPS, ids=shown)
def test_a_projects_step_runs_on_azure_without_this_package(path: Path) -> None:
    for line, name in imports(path):
        assert name.partition(".")[0] not in {PACKAGE, "dagster"}, f"{shown(path)}:{line}: {name}"


def test_the_table_names_only_rooms_and_libraries_that_it_lists() -> None:
    for name, rules in ROOMS.items():
        assert rules.knows <= set(ROOMS), f"{name} knows a room that is not in the table"
        assert rules.libraries <= GUARDED, f"{name} lists a library that is not guarded"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module of this package; a module outside every room fails the test."""
    inner = module.removeprefix(PACKAGE).removeprefix(".")
    if not inner:
        return ""
    candidates = [name for name in ROOMS if name and f"{inner}.".startswith(f"{name}.")]
    if not candidates:
        pytest.fail(f"{module} belongs to no room: add it to ROOMS in {Path(__file__).name}")
    return max(candidates, key=len)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and full dotted name of everything that a file imports."""
    module = module_name(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
            for alias in node.names:
                inner = f"{source.rstrip('.')}.{alias.name}"
                yield node.lineno, inner if is_module(inner) else source.rstrip(".")


def is_module(name: str) -> bool:
    base = ROOT.joinpath(*name.split("."))
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()
