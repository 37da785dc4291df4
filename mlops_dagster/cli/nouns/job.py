"""`mlops job`: submit jobs and follow them, in the words of `az ml job` where it has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.local_options import LocalOptions
from mlops_dagster.cli.nouns import job_views
from mlops_dagster.cli.output import Format, Output, note, plain, print_json, visible
from mlops_dagster.cli.overrides import parse_overrides
from mlops_dagster.cli.session import session
from mlops_dagster.cli.stream import (
    command_prefix,
    follow,
    log_lines,
    print_line,
    raise_unless_completed,
)
from mlops_dagster.errors import InvalidRequest, MlopsError

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Job
    from mlops_dagster.workspace import Workspace
    from mlops_dagster.workspace.ports import JobRecord

app = typer.Typer(help="Submit jobs, follow them, and fetch what they leave.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The job's name.")]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the YAML, such as inputs.rate=0.1; may be repeated.",
    ),
]
_JobName = Annotated[str | None, typer.Option("--name", "-n", help="Identifies the job.")]
_Experiment = Annotated[
    str | None, typer.Option("--experiment-name", help="The experiment to file it under.")
]
_Reuse = Annotated[
    bool | None,
    typer.Option(
        "--reuse/--no-reuse",
        help="Take over the outputs of an equal job that completed. By default the steps of a "
        "pipeline do and a standing job does not.",
        show_default=False,
    ),
]
_Isolate = Annotated[
    bool,
    typer.Option(
        "--isolate", help="Run in virtual environments that are built from the conda files."
    ),
]
_Substitutions = Annotated[
    Path | None,
    typer.Option(
        "--substitutions",
        metavar="FILE",
        help="What stands in for data, components and environments that only Azure has.",
    ),
]


@app.command()
def create(
    context: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="The job's YAML file.")],
    settings: _Set = None,
    name: _JobName = None,
    experiment: _Experiment = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Follow the job to its end.")
    ] = False,
    reuse: _Reuse = None,
    isolate: _Isolate = False,
    substitutions: _Substitutions = None,
    output: Output = Format.TABLE,
) -> None:
    """Submit a job; return at once unless it is streamed."""
    local = LocalOptions(isolate, substitutions)
    _submit(context, file, settings, name, experiment, reuse, local, stream=stream, output=output)


@app.command()
def run(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The job's YAML file.")],
    settings: _Set = None,
    name: _JobName = None,
    experiment: _Experiment = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Follow the job to its end.")
    ] = True,
    reuse: _Reuse = None,
    isolate: _Isolate = False,
    substitutions: _Substitutions = None,
    output: Output = Format.TABLE,
) -> None:
    """Submit a job and follow it to its end; Ctrl-C stops the following, not the job."""
    local = LocalOptions(isolate, substitutions)
    _submit(context, file, settings, name, experiment, reuse, local, stream=stream, output=output)


@app.command()
def validate(
    context: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="The job's YAML file.")],
    settings: _Set = None,
    isolate: _Isolate = False,
    substitutions: _Substitutions = None,
    output: Output = Format.TABLE,
) -> None:
    """Check a job as submitting it would, and start nothing."""
    from mlops_dagster.aml import load_job

    job = load_job(file, overrides=parse_overrides(settings or []))
    with session(context).open(file.absolute().parent) as workspace:
        notes = LocalOptions(isolate, substitutions).validate(workspace.jobs, job)
    if output is Format.JSON:
        print_json({"file": file, "valid": True, "notes": notes})
        return
    for text in notes:
        print(visible(text))
    note(f"{file} can run.")


@app.command()
def resume(
    context: typer.Context,
    name: _Name,
    new_name: Annotated[
        str | None, typer.Option("--name", "-n", help="Identifies the new job.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Follow the job to its end.")
    ] = True,
    output: Output = Format.TABLE,
) -> None:
    """Go on with a failed or canceled pipeline: run only what did not complete."""
    with session(context).open() as workspace:
        record = workspace.jobs.resume(name, new_name=new_name)
        _announce(workspace, record, stream=stream, output=output)


@app.command("stream")
def stream_job(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Follow a job that was submitted before to its end."""
    with session(context).open() as workspace:
        workspace.jobs.get(name)
        _follow_to_the_end(workspace, name, output)


@app.command()
def show(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Show a job: its state, steps and outputs."""
    with session(context).open() as workspace:
        record = workspace.jobs.get(name)
        if output is Format.JSON:
            print_json(record)
        else:
            steps = workspace.jobs.list(parent=name, limit=_ALL)
            job_views.show_record(record, steps)
            job_views.show_child_runs(workspace.jobs.tracked(name).runs)


@app.command("list")
def list_jobs(
    context: typer.Context,
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="Only those of this experiment.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", help="The steps of this job instead.")
    ] = None,
    archived: Annotated[
        bool, typer.Option("--include-archived", help="Archived jobs too.")
    ] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Show each job's steps below it.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most this many.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List jobs, the newest first."""
    with session(context).open() as workspace:
        if parent is not None:
            workspace.jobs.get(parent)
        records = workspace.jobs.list(
            parent=parent, experiment=experiment, archived=archived, limit=limit
        )
        branches = [job_views.branch(workspace.jobs, record, deep=tree) for record in records]
        if output is Format.TABLE:
            job_views.list_branches(branches)
        elif tree:
            print_json([job_views.plain_branch(branch) for branch in branches])
        else:
            print_json(records)


@app.command()
def logs(
    context: typer.Context,
    name: _Name,
    follow_on: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=1, help="Only the job's own last lines.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Print what a job, and its steps, wrote."""
    if follow_on and tail is not None:
        raise InvalidRequest("--follow and --tail do not go together.", remedy="Leave one out.")
    with session(context).open() as workspace:
        record = workspace.jobs.get(name)
        if output is Format.TABLE and follow_on:
            follow(workspace, name)
            return
        jobs = workspace.jobs
        for line in jobs.stream(name) if follow_on else log_lines(jobs, record, tail=tail):
            if output is Format.JSON:
                # A line each, as JSON Lines: a log can be long, and may still be written.
                print(json.dumps(plain(line)), flush=follow_on)
            else:
                print_line(line)


@app.command()
def cancel(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """End a job and all its processes, and wait until they have ended."""
    from mlops_dagster.workspace.ports import JobStatus

    with session(context).open() as workspace:
        workspace.jobs.cancel(name)
        record = workspace.jobs.wait(name, timeout=_CANCEL_SECONDS)
        if output is Format.JSON:
            print_json(record)
        if record.status is JobStatus.CANCELED:
            note(f"Job {name} is canceled.")
            return
        if record.status.is_terminal:
            raise MlopsError(f"Job {name} had ended before, as {record.status}.")
        raise MlopsError(
            f"Job {name} has not ended within {_CANCEL_SECONDS} s.",
            remedy=f"Look again: mlops job show {name}",
        )


@app.command()
def archive(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Leave a job out of lists; nothing of it is removed."""
    with session(context).open() as workspace:
        record = workspace.jobs.archive(name)
    if output is Format.JSON:
        print_json(record)
    note(f"Job {name} is archived; bring it back: mlops job restore {name}")


@app.command()
def restore(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Put an archived job back into lists."""
    with session(context).open() as workspace:
        record = workspace.jobs.restore(name)
    if output is Format.JSON:
        print_json(record)
    note(f"Job {name} is listed again.")


@app.command()
def download(
    context: typer.Context,
    name: _Name,
    to: Annotated[
        Path | None, typer.Option("--to", help="The folder to write to; by default ./NAME.")
    ] = None,
    output_name: Annotated[
        str | None, typer.Option("--output-name", help="Only this output.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also what it logged to MLflow, and its steps, a folder each."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Copy a job's outputs and logs into a folder."""
    if everything and output_name is not None:
        raise InvalidRequest("--all and --output-name do not go together.", remedy="Leave one out.")
    with session(context).open() as workspace:
        jobs = workspace.jobs
        record = jobs.get(name)
        folder = to if to is not None else Path(record.name)
        written = jobs.download(name, folder, output=output_name, everything=everything)
    if output is Format.JSON:
        print_json(written)
        return
    for path in written:
        print(path)
    if not written:
        note(f"Job {name} ({record.status}) has left nothing to download.")


@app.command()
def compare(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Two jobs or more.")],
    output: Output = Format.TABLE,
) -> None:
    """Put jobs side by side: inputs, parameters, metrics, durations."""
    with session(context).open() as workspace:
        sides = [job_views.side(workspace.jobs, name) for name in names]
    if output is Format.JSON:
        print_json(sides)
    else:
        job_views.compare_sides(sides)


_ALL = 100_000
_CANCEL_SECONDS = 60


def _submit(
    context: typer.Context,
    file: Path,
    settings: list[str] | None,
    name: str | None,
    experiment: str | None,
    reuse: bool | None,
    local: LocalOptions,
    *,
    stream: bool,
    output: Format,
) -> None:
    from mlops_dagster.aml import load_job

    job = load_job(file, overrides=parse_overrides(settings or []))
    if reuse is False:
        job = _rerun(job)
    with session(context).open(file.absolute().parent) as workspace:
        record = local.submit(
            workspace.jobs, job, name=name, experiment=experiment, reuse=bool(reuse)
        )
        _announce(workspace, record, stream=stream, output=output)


def _announce(workspace: Workspace, record: JobRecord, *, stream: bool, output: Format) -> None:
    """Follow a job that was just submitted, or say how to."""
    if stream:
        note(f"Job {record.name} ({record.experiment})")
        _follow_to_the_end(workspace, record.name, output)
    elif output is Format.JSON:
        print_json(record)
    else:
        print(record.name)
        prefix = command_prefix(workspace)
        note(
            f"Job {record.name} is {record.status}; follow it: {prefix}mlops job stream {record.name}"
        )


def _rerun(job: Job) -> Job:
    """The job with nothing reused: a pipeline's ``force_rerun`` setting."""
    from mlops_dagster.aml.job import PipelineComponent

    component = job.step.component
    if not isinstance(component, PipelineComponent):
        return job
    forced = component.settings.model_copy(update={"force_rerun": True})
    component = component.model_copy(update={"settings": forced})
    return job.model_copy(update={"step": job.step.model_copy(update={"component": component})})


def _follow_to_the_end(workspace: Workspace, name: str, output: Format) -> None:
    record = follow(workspace, name, stderr=output is Format.JSON)
    if output is Format.JSON:
        print_json(record)
    raise_unless_completed(workspace.jobs, record)
    if output is Format.TABLE:
        _say_completed(workspace, record)


def _say_completed(workspace: Workspace, record: JobRecord) -> None:
    steps = workspace.jobs.list(parent=record.name, limit=_ALL)
    note(job_views.completed_line(record, steps))
    for produced in record.outputs.values():
        note(f"  {produced.name}: {produced.asset or produced.uri}")
