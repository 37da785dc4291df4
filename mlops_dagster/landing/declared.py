"""The landing that a project declares."""

from __future__ import annotations

from pathlib import Path

from mlops_dagster.errors import NotFound
from mlops_dagster.landing.commit import Tables
from mlops_dagster.landing.place import Landing, open_landing
from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.values import DropRecord, Limits, Rules
from mlops_dagster.project import Project


def declared_landing(project: Project, *, home: Path) -> Landing:
    """Open the landing of ``project.yaml``; its relative folders lie below ``home``.

    Raises NotFound where the project declares none, and what ``open_landing`` raises.
    """
    if project.landing is None:
        remedy = f"Declare one in {project.file}: landing: {{pipeline: ..., source: ...}}"
        raise NotFound("landing", project.name, remedy=remedy)
    declared = project.landing.declared
    tables = declared.tables
    rules = Rules(
        limits=Limits(
            drops=declared.batch.files,
            size=declared.batch.bytes,
            age=declared.batch.age,
            open_batches=declared.max_open,
        ),
        settle=declared.settle,
        attempts=declared.attempts,
    )
    return open_landing(
        project.name,
        drops=_below(home, project.landing.drops),
        home=home,
        queue=project.landing.queue,
        tables=Tables(_below(home, tables.scores), _below(home, tables.quarantine))
        if tables is not None
        else None,
        selection=Selection(
            prefix=declared.prefix, pattern=declared.pattern, marker=declared.marker
        ),
        rules=rules,
        shared=declared.journal and _below(home, declared.journal),
    )


def find_drop(landing: Landing, text: str) -> DropRecord:
    """The drop that an id, or a path, names; of a path, its newest. Raises NotFound."""
    found = landing.ledger.drops(path=text, limit=1)
    return found[0] if found else landing.ledger.drop(text)


def _below(home: Path, place: str) -> str:
    return place if "://" in place else str(home / Path(place).expanduser())
