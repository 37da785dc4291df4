"""Names that a shell completes: those of the jobs, models, ... that the workspace has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mlops_dagster.cli.session import Session

if TYPE_CHECKING:
    from mlops_dagster.workspace import Workspace

_MOST = 200


def names_of(kind: str) -> Callable[[str], list[str]]:
    """A function that completes the beginning of a name of this kind; of a kind without, nothing."""

    def complete(incomplete: str) -> list[str]:
        # A shell shows whatever is printed or raised here in the middle of the line.
        try:
            return [name for name in _names(kind) if name.startswith(incomplete)]
        except Exception:  # noqa: BLE001 - completing is a courtesy
            return []

    return complete


def _names(kind: str) -> Iterable[str]:
    from mlops_dagster.home import find_home

    if kind not in _NAMES or not find_home().exists():
        return []
    with Session().open() as workspace:
        return list(_NAMES[kind](workspace))


_NAMES: dict[str, Callable[[Workspace], Iterable[str]]] = {
    "job": lambda workspace: (job.name for job in workspace.jobs.list(limit=_MOST)),
    "model": lambda workspace: (model.name for model in workspace.models.list()),
    "data asset": lambda workspace: (asset.name for asset in workspace.data.list()),
    "compute target": lambda workspace: (target.name for target in workspace.compute.list()),
    "schedule": lambda workspace: (schedule.name for schedule in workspace.schedules.list()),
}
