"""`mlops data`: registered data assets."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from mlops_dagster.cli.command import command, group, show
from mlops_dagster.cli.nouns import creation
from mlops_dagster.cli.nouns.registry import Label, MaxResults, Version, parse_version
from mlops_dagster.cli.output import ago
from mlops_dagster.cli.records import asset_data
from mlops_dagster.cli.session import session
from mlops_dagster.cli.tables import print_fields, print_table
from mlops_dagster.errors import MlopsError

app = group("Registered data assets and their versions.")


@command(app, "create", example="mlops data create --name rates --path rates.csv --type uri_file")
def create(
    context: typer.Context,
    file: creation.File = None,
    name: creation.Name = None,
    version: creation.NewVersion = None,
    path: creation.Location = None,
    type: creation.Type = None,
    description: creation.Description = None,
    tags: creation.Tags = None,
    settings: creation.Settings = None,
) -> None:
    """Register a data asset: what a YAML file or the options describe."""
    from mlops_dagster.aml import DataAsset, load_data

    asset = creation.asset_of(
        load_data,
        DataAsset,
        file,
        settings,
        tags,
        name=name,
        version=version,
        path=path,
        type=type,
        description=description,
    )
    with session(context).open(file and file.absolute().parent) as workspace:
        registered = workspace.data.register(
            asset.name,
            asset.path,
            type=asset.type,
            version=asset.version,
            description=asset.description,
            tags={key: text or "" for key, text in asset.tags.items()},
            job=creation.job_of_path(asset.path),
        )
    show(context, asset_data(registered), lambda: print(registered.reference))


@command(app, "list", example="mlops data list --name flights")
def list_data(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", metavar="NAME", help="Every version of this asset."),
    ] = None,
    most: MaxResults = None,
) -> None:
    """List the latest version of every data asset, or every version of one."""
    with session(context).open() as workspace:
        assets = list(workspace.data.list(name))[:most]

    def table() -> None:
        rows = [(a.name, a.version, a.type, ago(a.created_at), a.job) for a in assets]
        columns = ("name", "version", "type", "created", "job")
        print_table(columns, rows, empty="There are no registered data assets.", shorten=("job",))

    show(context, [asset_data(asset) for asset in assets], table)


@command(app, "show", named="data asset", example="mlops data show --name flights --version 2")
def show_data(
    context: typer.Context, name: str, version: Version = None, label: Label = None
) -> None:
    """Show a version: what it is, where it lies and the job that wrote it."""
    with session(context).open() as workspace:
        asset = workspace.data.get(*parse_version(name, version, label))

        def table() -> None:
            path = None
            # What lies behind a URL may be out of reach; the version can be shown all the same.
            with contextlib.suppress(MlopsError):
                path = workspace.data.local_path(asset.uri)
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

        show(context, asset_data(asset), table)
