"""`mlops compute`: the targets that jobs run on."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_dagster.cli.output import Format, Output, print_fields, print_json, print_table
from mlops_dagster.cli.session import session

app = typer.Typer(help="The compute targets that jobs run on.", no_args_is_help=True)


@app.command("list")
def list_compute(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the compute targets, and how busy they are."""
    with session(context).open() as workspace:
        targets = workspace.compute.list()
    if output is Format.JSON:
        print_json(targets)
        return
    rows = [(t.name, t.type, t.state, t.max_instances, t.busy, t.queued, t.size) for t in targets]
    columns = ("name", "type", "state", "nodes", "busy", "queued", "size")
    print_table(
        columns,
        rows,
        empty="No compute target is declared; with no project every name stands for this machine.",
    )


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The target's name.")],
    output: Output = Format.TABLE,
) -> None:
    """Show a compute target: its size, limits, and the file that declares it."""
    with session(context).open() as workspace:
        target = workspace.compute.get(name)
    if output is Format.JSON:
        print_json(target)
        return
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
