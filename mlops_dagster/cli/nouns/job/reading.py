"""`mlops job show`, `list`, `logs`, `download` and `compare`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mlops_dagster.cli.browser import open_page
from mlops_dagster.cli.command import command, show
from mlops_dagster.cli.formats import Format, plain
from mlops_dagster.cli.mlflow import page_of
from mlops_dagster.cli.nouns.job import comparison, views
from mlops_dagster.cli.nouns.job.app import app
from mlops_dagster.cli.output import note
from mlops_dagster.cli.records import job_data
from mlops_dagster.cli.session import session
from mlops_dagster.cli.stream import follow, log_lines, print_line
from mlops_dagster.errors import InvalidRequest


@command(app, "show", named="job", example="mlops job show --name train-1 --query status -o tsv")
def show_job(
    context: typer.Context,
    name: str,
    web: Annotated[
        bool, typer.Option("--web", "-e", help="Open the job's page in a browser.")
    ] = False,
) -> None:
    """Show a job: its state, inputs, metrics, steps and outputs."""
    with session(context).open() as workspace:
        record = workspace.jobs.get(name)
        if web:
            open_page(page_of(record), of=f"Job {name}")
        record = replace(record, url=record.url or workspace.jobs.tracked(name).url)
        show(context, job_data(record), lambda: views.print_job(workspace.jobs, record))


@command(app, "list", example="mlops job list --max-results 10 --tree")
def list_jobs(
    context: typer.Context,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment-name", metavar="NAME", help="Only those of this experiment."),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            "--parent-job-name", "-p", metavar="NAME", help="The steps or trials of this job."
        ),
    ] = None,
    include_archived: Annotated[
        bool, typer.Option("--include-archived", help="Archived jobs too.")
    ] = False,
    archived_only: Annotated[
        bool, typer.Option("--archived-only", help="Only archived jobs.")
    ] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Show each job's steps below it.")] = False,
    most: Annotated[
        int,
        typer.Option("--max-results", "-r", metavar="N", min=1, help="At most this many."),
    ] = 50,
    all_results: Annotated[
        str | None,
        typer.Option("--all-results", metavar="true|false", help="All of them."),
    ] = None,
) -> None:
    """List jobs, the newest first."""
    with session(context).open() as workspace:
        jobs = workspace.jobs
        if parent is not None:
            jobs.get(parent)
        limit = None if (all_results or "").lower() == "true" or archived_only else most
        archived = include_archived or archived_only
        records = jobs.list(parent=parent, experiment=experiment, archived=archived, limit=limit)
        if archived_only:
            records = [record for record in records if record.archived][:most]
        branches = [views.branch(jobs, record, deep=tree) for record in records]
        value = [views.branch_data(each) if tree else job_data(each.record) for each in branches]
        show(context, value, lambda: views.print_branches(branches))


@command(app, "logs", named="job", example="mlops job logs train-1 --follow")
def logs(
    context: typer.Context,
    name: str,
    follow_on: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option("--tail", metavar="N", min=1, help="Only the job's own last lines."),
    ] = None,
) -> None:
    """Print what a job, and its steps, wrote."""
    if follow_on and tail is not None:
        raise InvalidRequest("--follow and --tail do not go together.", remedy="Leave one out.")
    as_json = session(context).form in (Format.JSON, Format.JSONC)
    with session(context).open() as workspace:
        record = workspace.jobs.get(name)
        if follow_on and not as_json:
            follow(workspace, name)
            return
        jobs = workspace.jobs
        for line in jobs.stream(name) if follow_on else log_lines(jobs, record, tail=tail):
            if as_json:
                # A line each, as JSON Lines: a log can be long, and may still be written.
                print(json.dumps(plain(line)), flush=follow_on)
            else:
                print_line(line)


@command(
    app,
    "download",
    named="job",
    example="mlops job download --name train-1 --output-name model --download-path model",
)
def download(
    context: typer.Context,
    name: str,
    to: Annotated[
        Path | None,
        typer.Option(
            "--download-path", "-p", metavar="FOLDER", help="The folder to write to; else ./NAME."
        ),
    ] = None,
    output_name: Annotated[
        str | None, typer.Option("--output-name", metavar="OUTPUT", help="Only this output.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also what it logged to MLflow, and its steps, a folder each."),
    ] = False,
) -> None:
    """Copy a job's outputs and logs into a folder."""
    if everything and output_name is not None:
        raise InvalidRequest("--all and --output-name do not go together.", remedy="Leave one out.")
    with session(context).open() as workspace:
        jobs = workspace.jobs
        record = jobs.get(name)
        folder = to if to is not None else Path(record.name)
        written = jobs.download(name, folder, output=output_name, everything=everything)

    def table() -> None:
        for path in written:
            print(path)
        if not written:
            note(f"Job {name} ({record.status}) has left nothing to download.")

    show(context, written, table)


@command(app, "compare", example="mlops job compare train-1 train-2 --differences")
def compare(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Two jobs or more, or one sweep for its trials."),
    ],
    differences: Annotated[
        bool, typer.Option("--differences", "-d", help="Only what is not the same everywhere.")
    ] = False,
) -> None:
    """Put jobs side by side: inputs, parameters, metrics, durations; or the trials of one sweep."""
    with session(context).open() as workspace:
        jobs = workspace.jobs
        if len(names) == 1:
            trials = comparison.leaderboard(jobs, jobs.get(names[0]))
            show(context, trials, lambda: comparison.print_leaderboard(trials))
            return
        sides = [comparison.side(jobs, name) for name in names]
        value = [comparison.side_data(side) for side in sides]
        show(context, value, lambda: comparison.print_sides(sides, differences=differences))
