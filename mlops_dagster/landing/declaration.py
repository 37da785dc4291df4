"""The landing that a project declares, in the workspace that is watched."""

from __future__ import annotations

import os
from pathlib import Path

from mlops_dagster.errors import NotFound
from mlops_dagster.landing.landing import Landing, open_landing
from mlops_dagster.landing.rules import Limits, Rules, SchemaEvolution
from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.tables import Tables
from mlops_dagster.landing.values import DropRecord
from mlops_dagster.project import LandingPlace, Project
from mlops_dagster.workspace import chosen_workspace

LANDING = "MLOPS_LANDING"
_LOCAL = "local"


def watched_workspace() -> str:
    """The workspace whose landing is watched: ``MLOPS_LANDING``, else that in which jobs run."""
    return os.environ.get(LANDING) or chosen_workspace()


def declared_place(project: Project, workspace: str | None = None) -> LandingPlace:
    """Where the landing is in a workspace, by default the watched one.

    Raises NotFound where the project declares no landing, or has no such workspace.
    """
    if project.landing is None:
        remedy = f"Declare one in {project.file}: landing: {{pipeline: ..., source: ...}}"
        raise NotFound("landing", project.name, remedy=remedy)
    name, places = workspace or watched_workspace(), project.landing.places
    if name not in places:
        raise NotFound("landing in the workspace", name, known=tuple(places))
    return places[name]


def declared_landing(project: Project, *, home: Path, workspace: str | None = None) -> Landing:
    """Open the landing of ``project.yaml``; its relative folders lie below ``home``.

    Args:
        workspace: by default the watched one. Each but ``local`` has a ledger of its own.

    Raises what ``declared_place`` and ``open_landing`` raise.
    """
    workspace = workspace or watched_workspace()
    place = declared_place(project, workspace)
    assert project.landing is not None  # noqa: S101 - its place was found
    declared = project.landing.declared
    tables = place.tables
    rules = Rules(
        limits=Limits(
            drops=declared.batch.files,
            size=declared.batch.bytes,
            age=declared.batch.age,
            open_batches=declared.max_open,
        ),
        settle=declared.settle,
        attempts=declared.attempts,
        schema_evolution=SchemaEvolution(declared.schema_evolution),
        retry_delay=declared.retry_delay,
        timeout=declared.timeout,
    )
    return open_landing(
        project.name if workspace == _LOCAL else f"{project.name}.{workspace}",
        drops=_absolute(home, place.drops),
        home=home,
        queue=place.queue,
        tables=Tables(_absolute(home, tables.scores), _absolute(home, tables.quarantine))
        if tables is not None
        else None,
        selection=Selection(
            prefix=declared.prefix, pattern=declared.pattern, marker=declared.marker
        ),
        rules=rules,
        shared=place.journal and _absolute(home, place.journal),
    )


def find_drop(landing: Landing, text: str) -> DropRecord:
    """The drop that an id, or a path, names; of a path, its newest. Raises NotFound."""
    found = landing.ledger.drops(path=text, limit=1)
    return found[0] if found else landing.ledger.drop(text)


def _absolute(home: Path, place: str) -> str:
    return place if "://" in place else str(home / Path(place).expanduser())
