"""`mlops job update`, `cancel`, `archive` and `restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_dagster.cli.browser import open_page
from mlops_dagster.cli.command import command, show
from mlops_dagster.cli.mlflow import page_of
from mlops_dagster.cli.nouns.job.app import app
from mlops_dagster.cli.nouns.updates import parse_updates
from mlops_dagster.cli.output import note
from mlops_dagster.cli.records import job_data
from mlops_dagster.cli.session import session
from mlops_dagster.errors import MlopsError

_CANCEL_SECONDS = 60


@command(app, "update", named="job", example="mlops job update -n train-1 --set tags.stage=dev")
def update(
    context: typer.Context,
    name: str,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="tags.NAME, properties.NAME, display_name or description; takes several.",
        ),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", "-e", help="Open the job's page in a browser.")
    ] = False,
) -> None:
    """Change what describes a job: tags, properties, display name, description."""
    updates = parse_updates(
        settings or [],
        of="a job",
        texts=["display_name", "description"],
        mappings=["tags", "properties"],
    )
    with session(context).open() as workspace:
        record = workspace.jobs.update(
            name,
            display_name=updates.texts.get("display_name"),
            description=updates.texts.get("description"),
            tags=updates.tags,
            properties=updates.properties,
        )
    if web:
        open_page(page_of(record), of=f"Job {name}")
    show(context, job_data(record), lambda: print(record.name))


@command(app, "cancel", named="job", example="mlops job cancel --name train-1")
def cancel(context: typer.Context, name: str) -> None:
    """End a job and all its processes, and wait until they have ended."""
    from mlops_dagster.workspace.ports import JobStatus

    with session(context).open() as workspace:
        workspace.jobs.cancel(name)
        record = workspace.jobs.wait(name, timeout=_CANCEL_SECONDS)
        show(context, job_data(record), lambda: None)
        if record.status is JobStatus.CANCELED:
            note(f"Job {name} is canceled.")
            return
        if record.status.is_terminal:
            raise MlopsError(f"Job {name} had ended before, as {record.status}.")
        raise MlopsError(
            f"Job {name} has not ended within {_CANCEL_SECONDS} s.",
            remedy=f"Look again: mlops job show {name}",
        )


@command(app, "archive", named="job", example="mlops job archive --name train-1")
def archive(context: typer.Context, name: str) -> None:
    """Leave a job out of lists; nothing of it is removed."""
    with session(context).open() as workspace:
        record = workspace.jobs.archive(name)
    show(context, job_data(record), lambda: None)
    note(f"Job {name} is archived; bring it back: mlops job restore {name}")


@command(app, "restore", named="job", example="mlops job restore --name train-1")
def restore(context: typer.Context, name: str) -> None:
    """Put an archived job back into lists."""
    with session(context).open() as workspace:
        record = workspace.jobs.restore(name)
    show(context, job_data(record), lambda: None)
    note(f"Job {name} is listed again.")
