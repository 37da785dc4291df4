"""`mlops data`: registered data assets."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from mlops_dagster.cli.nouns.registry import parse_version
from mlops_dagster.cli.output import Format, Output, print_fields, print_json, print_table
from mlops_dagster.cli.session import session
from mlops_dagster.errors import MlopsError

app = typer.Typer(help="Registered data assets and their versions.", no_args_is_help=True)


@app.command("list")
def list_data(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Every version of this asset.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the latest version of every data asset, or every version of one."""
    with session(context).open() as workspace:
        assets = workspace.data.list(name)
    if output is Format.JSON:
        print_json(assets)
        return
    rows = [(a.name, a.version, a.type, a.created_at, a.job, a.uri) for a in assets]
    columns = ("name", "version", "type", "created", "job", "uri")
    print_table(columns, rows, empty="There are no registered data assets.")


@app.command()
def show(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="NAME for the latest version, or NAME:VERSION.")
    ],
    version: Annotated[
        str | None, typer.Option("--version", "-v", help="Instead of NAME:VERSION.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a version: what it is, where it lies and the job that wrote it."""
    with session(context).open() as workspace:
        asset = workspace.data.get(*parse_version(name, version))
        path = None
        if output is Format.TABLE:
            # What lies behind a URL may be out of reach; the version can be shown all the same.
            with contextlib.suppress(MlopsError):
                path = workspace.data.local_path(asset.uri)
    if output is Format.JSON:
        print_json(asset)
        return
    print_fields(
        {
            "name": asset.name,
            "version": asset.version,
            "type": asset.type,
            "description": asset.description,
            "created": asset.created_at,
            "uri": asset.uri,
            "path": path,
            "job": asset.job,
            "tags": asset.tags,
        }
    )
