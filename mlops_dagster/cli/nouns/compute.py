"""`mlops compute`: the targets that jobs run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.command import command, group, show
from mlops_dagster.cli.records import compute_data
from mlops_dagster.cli.session import session
from mlops_dagster.cli.tables import print_fields, print_table
from mlops_dagster.errors import NotFound
from mlops_dagster.home import find_projects

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import ComputeTarget

app = group("The compute targets that jobs run on.")


@command(app, "list", example="mlops compute list")
def list_compute(
    context: typer.Context,
    most: Annotated[
        int | None,
        typer.Option("--max-results", "-r", metavar="N", min=1, help="At most this many."),
    ] = None,
    type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only these, such as AmlCompute.")
    ] = None,
) -> None:
    """List the compute targets, and how busy they are."""
    targets = [
        (project, target)
        for project, target in _targets(context)
        if type is None or target.type.lower() == type.lower()
    ][:most]

    def table() -> None:
        rows = [
            (t.name, t.type, t.state, t.max_instances, t.busy, t.queued, t.size or "", project)
            for project, t in targets
        ]
        columns = ("name", "type", "state", "nodes", "busy", "queued", "size", "project")
        shown = len(columns) - (len({project for project, _ in targets}) <= 1)
        empty = "No compute target is declared; with no project every name stands for this machine."
        rows_shown = [row[:shown] for row in rows]
        shorten = ("size", "type", "project")
        print_table(columns[:shown], rows_shown, empty=empty, shorten=shorten)

    show(context, [compute_data(target) for _, target in targets], table)


@command(app, "show", named="compute target", example="mlops compute show --name cpu-cluster")
def show_compute(context: typer.Context, name: str) -> None:
    """Show a compute target: its size, limits, and the file that declares it."""
    targets = [target for _, target in _targets(context)]
    target = next((target for target in targets if target.name == name), None)
    if target is None:
        raise NotFound("compute target", name, known=[target.name for target in targets])

    def table() -> None:
        print_fields(
            {
                "name": target.name,
                "type": target.type,
                "state": target.state,
                "size": target.size,
                "nodes": f"{target.min_instances} to {target.max_instances}",
                "busy": target.busy,
                "queued": target.queued,
                "declared in": target.source,
            }
        )

    show(context, compute_data(target), table)


def _targets(context: typer.Context) -> Iterator[tuple[str, ComputeTarget]]:
    """The targets of the project at hand, or of each that workspace.yaml lists, by its folder."""
    projects: list[Path | None] = [*find_projects()] or [None]
    for project in projects:
        with session(context).open(project) as workspace:
            for target in workspace.compute.list():
                yield (project.name if project is not None else "", target)
