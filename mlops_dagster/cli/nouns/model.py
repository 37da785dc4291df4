"""`mlops model`: registered models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.command import command, group, show
from mlops_dagster.cli.nouns import creation
from mlops_dagster.cli.nouns.registry import Label, MaxResults, Version, parse_version
from mlops_dagster.cli.nouns.updates import parse_updates
from mlops_dagster.cli.output import ago
from mlops_dagster.cli.records import model_data
from mlops_dagster.cli.session import session
from mlops_dagster.cli.tables import print_fields, print_table
from mlops_dagster.errors import InvalidRequest, MlopsError
from mlops_dagster.home import find_projects

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import Models, ModelVersion

app = group("Registered models and their versions.")


@command(app, "create", example="mlops model create -n m -p model/ --type mlflow_model")
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
    """Register a model: what a YAML file or the options describe."""
    from mlops_dagster.aml import ModelAsset, load_model

    asset = creation.asset_of(
        load_model,
        ModelAsset,
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
        registered = workspace.models.register(
            asset.name,
            asset.path,
            type=asset.type,
            version=asset.version,
            description=asset.description,
            tags={key: text or "" for key, text in asset.tags.items()},
            properties={key: text or "" for key, text in asset.properties.items()},
            job=creation.job_of_path(asset.path),
        )
    show(context, model_data(registered), lambda: print(registered.reference))


@command(app, "list", example="mlops model list --name flight-delays")
def list_models(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", metavar="NAME", help="Every version of this model."),
    ] = None,
    most: MaxResults = None,
) -> None:
    """List the latest version of every model, or every version of one, and the champion."""
    with session(context).open() as workspace:
        versions = list(workspace.models.list(name))[:most]

        def table() -> None:
            champions = _champions(workspace.models, versions)
            metrics = _deciding_metrics()
            rows = [
                (
                    each.name,
                    each.version,
                    _figure(each, metrics.get(each.name)),
                    _champion_cell(each, champions.get(each.name), metrics.get(each.name)),
                    ago(each.created_at),
                    each.job,
                )
                for each in versions
            ]
            columns = ("name", "version", "metric", "champion", "created", "job")
            empty = "There are no registered models."
            print_table(columns, rows, empty=empty, shorten=("job",))

        show(context, [model_data(version) for version in versions], table)


@command(app, "show", named="model", example="mlops model show --name flight-delays --version 3")
def show_model(
    context: typer.Context, name: str, version: Version = None, label: Label = None
) -> None:
    """Show a version: where it lies and the job, data and code it came from."""
    with session(context).open() as workspace:
        model = workspace.models.get(*parse_version(name, version, label))
        champions = _champions(workspace.models, [model])

    def table() -> None:
        from mlops_dagster.release.champion import CHAMPION_SINCE, METRIC_TAG

        own = {
            key: value
            for key, value in model.tags.items()
            if key != CHAMPION_SINCE and not key.startswith(METRIC_TAG)
        }
        champion = champions.get(model.name)
        is_champion = champion is not None and champion.version == model.version
        print_fields(
            {
                "name": model.name,
                "version": model.version,
                "type": model.type,
                "description": model.description,
                "champion": "yes" if is_champion else champion and f"no; it is {champion.version}",
                "created": model.created_at,
                "uri": model.uri,
                "digest": model.digest,
                "job": model.job,
                "data": ", ".join(model.data),
                "code": model.code,
                "tags": own,
                "properties": model.properties,
            }
        )
        metrics = sorted(
            (key.removeprefix(METRIC_TAG), float(value))
            for key, value in model.tags.items()
            if key.startswith(METRIC_TAG)
        )
        if metrics:
            print()
            print_table(("metric", "value"), metrics, empty="")

    show(context, model_data(model), table)


@command(app, "update", named="model", example="mlops model update -n m -v 3 --set tags.stage=Prod")
def update(
    context: typer.Context,
    name: str,
    version: Version = None,
    label: Label = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="tags.NAME=VALUE", help="Set a tag; takes several."),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="tags.NAME", help="Remove a tag; may be repeated."),
    ] = None,
) -> None:
    """Set or remove tags of a version; everything else of it is immutable."""
    tags: dict[str, str | None] = dict.fromkeys(map(_tag, remove or []))
    if settings or not remove:
        tags |= parse_updates(settings or [], of="a registered version", mappings=["tags"]).tags
    with session(context).open() as workspace:
        found = workspace.models.get(*parse_version(name, version, label))
        model = workspace.models.tag(found.name, found.version, tags)
    show(context, model_data(model), lambda: print(model.reference))


@command(app, "download", named="model", example="mlops model download -n flight-delays -p models")
def download(
    context: typer.Context,
    name: str,
    version: Version = None,
    to: Annotated[
        Path,
        typer.Option(
            "--download-path",
            "-p",
            metavar="FOLDER",
            help="The folder to write to; by default the current one.",
            show_default=False,
        ),
    ] = Path(),
) -> None:
    """Copy a version's files into a folder, and print where they lie."""
    with session(context).open() as workspace:
        written = workspace.models.download(*parse_version(name, version), to)
    show(context, [written], lambda: print(written))


def _champions(models: Models, versions: list[ModelVersion]) -> Mapping[str, ModelVersion]:
    from mlops_dagster.release.champion import find_champion

    names = {version.name for version in versions}
    found = {name: find_champion(models, name) for name in names}
    return {name: champion for name, champion in found.items() if champion is not None}


def _deciding_metrics() -> Mapping[str, str]:
    """The metric that decides of a model, by its name, as the projects at hand declare it."""
    from mlops_dagster.project import read_project

    metrics: dict[str, str] = {}
    for folder in find_projects():
        try:
            models = read_project(folder).models
        except MlopsError:
            continue  # `mlops check` says what is wrong with it
        metrics |= {name: model.metric for name, model in models.items()}
    return metrics


def _champion_cell(version: ModelVersion, champion: ModelVersion | None, metric: str | None) -> str:
    if champion is None:
        return "none yet"
    if champion.version == version.version:
        return "yes"
    figure = _figure(champion, metric)
    return f"{champion.version} ({figure})" if figure else champion.version


def _figure(version: ModelVersion, metric: str | None) -> str | None:
    from mlops_dagster.release.champion import METRIC_TAG

    value = version.tags.get(f"{METRIC_TAG}{metric}")
    return f"{metric} {float(value):.4g}" if value is not None else None


def _tag(field: str) -> str:
    prefix, _, tag = field.partition(".")
    if prefix != "tags" or not tag:
        raise InvalidRequest(
            f"{field!r} of a registered version cannot change.", remedy="Can change: tags.NAME."
        )
    return tag
