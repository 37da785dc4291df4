"""`mlops model`: registered models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops_dagster.cli.nouns.registry import parse_version
from mlops_dagster.cli.output import Format, Output, print_fields, print_json, print_table
from mlops_dagster.cli.session import session

app = typer.Typer(help="Registered models and their versions.", no_args_is_help=True)

_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="NAME for the latest version, or NAME:VERSION.")
]
_Version = Annotated[str | None, typer.Option("--version", "-v", help="Instead of NAME:VERSION.")]


@app.command("list")
def list_models(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Every version of this model.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the latest version of every model, or every version of one."""
    with session(context).open() as workspace:
        models = workspace.models.list(name)
    if output is Format.JSON:
        print_json(models)
        return
    rows = [(m.name, m.version, m.type, m.created_at, m.job, m.tags) for m in models]
    columns = ("name", "version", "type", "created", "job", "tags")
    print_table(columns, rows, empty="There are no registered models.")


@app.command()
def show(
    context: typer.Context, name: _Name, version: _Version = None, output: Output = Format.TABLE
) -> None:
    """Show a version: where it lies and the job, data and code it came from."""
    with session(context).open() as workspace:
        model = workspace.models.get(*parse_version(name, version))
    if output is Format.JSON:
        print_json(model)
        return
    print_fields(
        {
            "name": model.name,
            "version": model.version,
            "type": model.type,
            "description": model.description,
            "created": model.created_at,
            "uri": model.uri,
            "digest": model.digest,
            "job": model.job,
            "data": ", ".join(model.data),
            "code": model.code,
            "tags": model.tags,
            "properties": model.properties,
        }
    )


@app.command()
def download(
    context: typer.Context,
    name: _Name,
    version: _Version = None,
    to: Annotated[
        Path, typer.Option("--to", help="The folder to write to; by default the current one.")
    ] = Path(),
    output: Output = Format.TABLE,
) -> None:
    """Copy a version's files into a folder, and print where they lie."""
    with session(context).open() as workspace:
        written = workspace.models.download(*parse_version(name, version), to)
    if output is Format.JSON:
        print_json([written])
    else:
        print(written)
