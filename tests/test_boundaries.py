"""Who may know whom: the rooms of the package, and which rooms and libraries each may import.

These tables are the rule. Ruff's banned-api (TID251) is one list for the whole repository and is
switched off a file at a time, all of it at once, so it cannot say "Dagster here, but no adapter".
An import counts wherever it stands: at module level, in a function or under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import grimp
import pytest

from scripts.import_graph import LOCAL, PACKAGE, circles, import_graph

ROOT = Path(__file__).parent.parent

# Libraries that only some rooms may name. Any other library is open to every room.
GUARDED = {"azure", "dagster", "dagster_azure", "dagster_graphql", "mlflow", "rich", "typer"}
DAGSTER = "dagster dagster_azure dagster_graphql"


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
    "home": room(),
    "system": room("errors"),
    "storage_account": room("errors system", "azure"),
    "objects": room("errors storage_account system", "azure"),
    "aml": room("errors"),
    "project": room("errors system aml"),
    "workspace": room("errors system aml"),
    "workspace.local": room("errors home system aml workspace", "mlflow"),
    "workspace.azure": room("errors home system storage_account aml workspace", "azure"),
    "landing": room("errors home system storage_account objects aml project workspace", "azure"),
    "release": room("errors system objects aml project workspace"),
    "provisioning": room("errors system aml project"),
    "defs": room("errors home system aml project workspace landing release", DAGSTER),
    "connection": room("errors home workspace"),
    "location": room("errors system aml project workspace defs", DAGSTER),
    "cli": room(
        "errors home system storage_account objects aml project workspace workspace.local landing"
        " release provisioning location",
        f"azure mlflow rich typer {DAGSTER}",
    ),
    "": room("errors project workspace connection location"),
}

# The floors of the local workspace, from the ground up: each may import those below it.
FLOORS = (
    "ground",
    "records",
    "software",
    "storage",
    "tracking",
    "parallel",
    "kinds",
    "queue",
    "planning",
    "running",
    "jobs",
    "workspace",
)

# What only ``system`` calls: everything else opens databases, walks folders and ends processes
# through its modules, which hold the rules for waiting, links and processes that are gone.
ONLY_SYSTEM_CALLS = {"sqlite3.connect", "os.walk", "os.killpg"}

SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))
STEPS = sorted((ROOT / "projects").glob("*/code/**/*.py"))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return import_graph()


def short_path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_module_imports_only_what_its_room_may_know(graph: grimp.ImportGraph) -> None:
    wrong = []
    for module in modules(graph):
        here = room_of(module)
        allowed = ROOMS[here].knows | {here}
        for imported in graph.find_modules_directly_imported_by(module):
            inner = imported.partition(".")[0] == PACKAGE
            if inner and room_of(imported) not in allowed:
                wrong.append(f"{where(graph, module, imported)}: {here!r} may not import it")
            elif imported in GUARDED - ROOMS[here].libraries:
                wrong.append(f"{where(graph, module, imported)}: not a library for {here!r}")
    assert wrong == []


def test_no_floor_of_the_local_workspace_imports_one_above_it(graph: grimp.ImportGraph) -> None:
    inside = [module for module in modules(graph) if module.startswith(f"{LOCAL}.")]
    wrong = [
        where(graph, module, imported)
        for module in inside
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in inside and floor_of(imported) > floor_of(module)
    ]
    assert wrong == []


def test_a_parallel_steps_program_stands_apart(graph: grimp.ImportGraph) -> None:
    for module in graph.find_descendants(f"{LOCAL}.parallel"):
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.startswith(f"{PACKAGE}.") and f"{LOCAL}.parallel." not in imported:
                assert (
                    imported in {f"{PACKAGE}.errors", f"{PACKAGE}.aml.base"}
                    or room_of(imported) == "system"
                ), f"{where(graph, module, imported)}: it runs where the rest is not loaded"


@pytest.mark.parametrize("name", sorted(ONLY_SYSTEM_CALLS))
def test_databases_folders_and_process_groups_are_handled_in_system_alone(name: str) -> None:
    users = {short_path(path) for path in SOURCES if name in library_names(path)}
    assert users, f"nothing uses {name}: take it out of the list"
    assert {user for user in users if not user.startswith(f"{PACKAGE}/system/")} == set()


def test_nothing_imports_in_a_circle(graph: grimp.ImportGraph) -> None:
    """Neither rooms, nor packages or files inside one, on any level."""
    assert list(circles(graph)) == []


@pytest.mark.parametrize("path", STEPS, ids=short_path)
def test_a_projects_step_runs_on_azure_without_this_package(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name.partition(".")[0] not in {PACKAGE, "dagster"}, f"{short_path(path)}: {name}"


def test_the_table_names_only_rooms_and_libraries_that_it_lists() -> None:
    for name, rules in ROOMS.items():
        assert rules.knows <= set(ROOMS), f"{name} knows a room that is not in the table"
        assert rules.libraries <= GUARDED, f"{name} lists a library that is not guarded"


def library_names(path: Path) -> set[str]:
    """The names of libraries that a file uses or imports, such as ``os.walk``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def modules(graph: grimp.ImportGraph) -> list[str]:
    return sorted(name for name in graph.modules if not graph.is_module_squashed(name))


def where(graph: grimp.ImportGraph, importer: str, imported: str) -> str:
    details = graph.get_import_details(importer=importer, imported=imported)
    return f"{importer}:{details[0]['line_number']} imports {imported}"


def room_of(module: str) -> str:
    """The room of a module of this package; a module outside every room fails the test."""
    inner = module.removeprefix(PACKAGE).removeprefix(".")
    if not inner:
        return ""
    candidates = [name for name in ROOMS if name and f"{inner}.".startswith(f"{name}.")]
    if not candidates:
        pytest.fail(f"{module} belongs to no room: add it to ROOMS in {Path(__file__).name}")
    return max(candidates, key=len)


def floor_of(module: str) -> int:
    """The floor of a module of the local workspace; one on no floor fails the test."""
    name = module.removeprefix(f"{LOCAL}.").partition(".")[0]
    if name not in FLOORS:
        pytest.fail(f"{module} is on no floor: add it to FLOORS in {Path(__file__).name}")
    return FLOORS.index(name)
