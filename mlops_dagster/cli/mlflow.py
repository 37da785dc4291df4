"""`mlops mlflow`: MLflow's own UI, started where it does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.browser import has_screen
from mlops_dagster.cli.session import session
from mlops_dagster.errors import NotFound
from mlops_dagster.home import find_home

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import JobRecord


def mlflow(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Show this job's run.")] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open a browser where there is a screen.")
    ] = True,
) -> None:
    """Open MLflow's UI, which is started where it does not run, and print its address.

    It ends by itself ten minutes after it was used last, and with `mlops stop`.
    """
    from mlops_dagster.workspace.local.tracking import served_page

    if job is None:
        address = served_page(find_home())
    else:
        with session(context).open() as workspace:
            page = page_of(workspace.jobs.get(job))
        if page is None:
            raise NotFound("MLflow run of job", job, remedy="It has logged nothing to MLflow.")
        address = page
    print(f"MLflow: {address}", flush=True)
    if open_browser and has_screen():
        import webbrowser

        webbrowser.open(address)


def page_of(record: JobRecord) -> str | None:
    """A page about a job that can be opened now; None where there is none."""
    from mlops_dagster.workspace.local.tracking import served_page_of_job

    return record.url or served_page_of_job(find_home(), record.name)
