"""Draws which room of the package imports which: ``make graph``.

The rooms are printed from the ground up, each with its modules, its lines and what it imports,
then the floors of the local workspace in the same way. The exit status is 1 where rooms, or
modules inside one, import each other in a circle. tests/test_boundaries.py holds the rules.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mlops_dagster"
LOCAL = f"{PACKAGE}.workspace.local"


@dataclass(frozen=True)
class Room:
    """A module or package among its siblings.

    Attributes:
        imports: how many imports lead to each sibling.
        inside: imports between its own modules.
    """

    name: str
    modules: int
    lines: int
    imports: Mapping[str, int]
    inside: int


def main() -> int:
    """Print the rooms and the floors; 1 where there is a circle."""
    graph = import_graph()
    for package in (PACKAGE, LOCAL):
        print(f"{package}, from the ground up\n")
        print("\n".join(_table(rooms_of(graph, package))), end="\n\n")
    found = list(circles(graph))
    print("\n".join(f"circle: {circle}" for circle in found) or "No circle, on any level.")
    return 1 if found else 0


def import_graph() -> grimp.ImportGraph:
    """Every import of the package, wherever it stands: at module level, in a function, for types."""
    return grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)


def rooms_of(graph: grimp.ImportGraph, package: str) -> list[Room]:
    """The modules and packages directly in a package, each behind those that it imports.

    Where they import each other in a circle, in the order of their names.
    """
    names = sorted(graph.find_children(package))
    rooms = {name: _room(graph, name, names) for name in names}
    try:
        order = list(TopologicalSorter(_dependencies(rooms)).static_order())
    except CycleError:
        order = names
    return [rooms[name] for name in order]


def circles(graph: grimp.ImportGraph) -> Iterator[str]:
    """Siblings that import each other in a circle, one circle for each package that has any."""
    inner = {name for name in graph.modules if not graph.is_module_squashed(name)}
    for package in sorted(name for name in inner if graph.find_children(name)):
        names = sorted(graph.find_children(package))
        rooms = {name: _room(graph, name, names) for name in names}
        try:
            TopologicalSorter(_dependencies(rooms)).prepare()
        except CycleError as error:
            yield " -> ".join(reversed(error.args[1]))


def _dependencies(rooms: Mapping[str, Room]) -> dict[str, set[str]]:
    return {name: set(room.imports) for name, room in rooms.items()}


def _room(graph: grimp.ImportGraph, name: str, siblings: list[str]) -> Room:
    members = {name, *graph.find_descendants(name)}
    imports: dict[str, int] = {}
    inside = 0
    for member in members:
        for imported in graph.find_modules_directly_imported_by(member):
            if imported in members:
                inside += 1
            elif (owner := _owner(imported, siblings)) is not None:
                imports[owner] = imports.get(owner, 0) + 1
    lines = sum(_lines(member) for member in members)
    return Room(name, len(members), lines, imports, inside)


def _owner(module: str, names: list[str]) -> str | None:
    """The one of these modules and packages to which a module belongs."""
    return next((name for name in names if f"{module}.".startswith(f"{name}.")), None)


def _lines(module: str) -> int:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return len(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else 0


def _table(rooms: list[Room]) -> Iterator[str]:
    yield f"{'room':18} {'modules':>7} {'lines':>7} {'inside':>7}  imports"
    for room in rooms:
        imports = ", ".join(
            f"{_short(name)} {count}" for name, count in sorted(room.imports.items())
        )
        yield (
            f"{_short(room.name):18} {room.modules:>7} {room.lines:>7,} {room.inside:>7}"
            f"  {imports or '-'}"
        )


def _short(module: str) -> str:
    return module.rpartition(".")[2]


if __name__ == "__main__":
    sys.exit(main())
