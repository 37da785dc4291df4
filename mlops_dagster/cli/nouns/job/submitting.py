"""`mlops job create`, `run`, `validate`, `resume` and `stream`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.browser import open_page
from mlops_dagster.cli.command import command, show
from mlops_dagster.cli.mlflow import page_of
from mlops_dagster.cli.nouns.job.app import app
from mlops_dagster.cli.nouns.job.views import completed_line
from mlops_dagster.cli.output import note, visible
from mlops_dagster.cli.overrides import parse_overrides
from mlops_dagster.cli.records import job_data
from mlops_dagster.cli.session import session
from mlops_dagster.cli.stream import command_prefix, follow, raise_unless_completed
from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.ports import JobOptions

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Job
    from mlops_dagster.workspace import Workspace
    from mlops_dagster.workspace.ports import JobRecord

_FILE_HELP = "The job's YAML file."
_File = Annotated[Path | None, typer.Argument(metavar="FILE", help=_FILE_HELP, show_default=False)]
_FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="The same as FILE.")
]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the YAML, such as inputs.rate=0.1; takes several.",
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
_Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        "-s",
        help="Follow the job to its end, or return at once.",
        show_default=False,
    ),
]
_Web = Annotated[bool, typer.Option("--web", "-e", help="Open the job's page in a browser.")]


@command(
    app,
    "create",
    purpose="Submit a job; return at once unless it is streamed.",
    example="mlops job create --file train.yml --set inputs.rate=0.05 --stream",
)
@command(
    app,
    "run",
    purpose="Submit a job and follow it to its end; Ctrl-C stops the following, not the job.",
    example="mlops job run train.yml --set inputs.rate=0.05",
)
def submit(
    context: typer.Context,
    file: _File = None,
    file_option: _FileOption = None,
    settings: _Set = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", metavar="NAME", help="Identifies the job.")
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment-name", metavar="NAME", help="The experiment to file it under."),
    ] = None,
    stream: _Stream = None,
    reuse: Annotated[
        bool | None,
        typer.Option(
            "--reuse/--no-reuse",
            help="Take over the outputs of an equal job that completed. By default the steps of a "
            "pipeline do and other jobs do not.",
            show_default=False,
        ),
    ] = None,
    isolate: _Isolate = False,
    substitutions: _Substitutions = None,
    web: _Web = False,
    save_as: Annotated[
        Path | None,
        typer.Option(
            "--save-as", "-a", metavar="FILE", help="Write the job's record there, as YAML."
        ),
    ] = None,
) -> None:
    """Submit a job, and follow it where it is streamed, as `run` does unless told otherwise."""
    from mlops_dagster.aml import load_job

    path = _one_file(file, file_option)
    job = load_job(path, overrides=parse_overrides(settings or []))
    if reuse is False:
        job = _rerun(job)
    options = JobOptions(isolate, substitutions, note)
    with session(context).open(path.absolute().parent, options) as workspace:
        record = workspace.jobs.submit(job, name=name, experiment=experiment, reuse=bool(reuse))
        if save_as is not None:
            _write_record(record, save_as)
        if web:
            open_page(page_of(record), of=f"Job {record.name}")
        if stream is None:
            stream = context.info_name == "run"
        _announce(context, workspace, record, stream=stream)


@command(app, "validate", example="mlops job validate --file train.yml")
def validate(
    context: typer.Context,
    file: _File = None,
    file_option: _FileOption = None,
    settings: _Set = None,
    isolate: _Isolate = False,
    substitutions: _Substitutions = None,
) -> None:
    """Check a job as submitting it would, and start nothing."""
    from mlops_dagster.aml import load_job

    path = _one_file(file, file_option)
    job = load_job(path, overrides=parse_overrides(settings or []))
    options = JobOptions(isolate, substitutions)
    with session(context).open(path.absolute().parent, options) as workspace:
        notes = workspace.jobs.validate(job)

    def table() -> None:
        for text in notes:
            print(visible(text))
        note(f"{path} can run.")

    show(context, {"file": path, "valid": True, "notes": notes}, table)


@command(app, "resume", named="job", example="mlops job resume train-1")
def resume(
    context: typer.Context,
    name: str,
    new_name: Annotated[
        str | None,
        typer.Option("--new-name", metavar="NAME", help="Identifies the new job; else NAME_r2."),
    ] = None,
    stream: _Stream = True,
) -> None:
    """Go on with a failed or canceled pipeline: run only what did not complete."""
    with session(context).open() as workspace:
        record = workspace.jobs.resume(name, new_name=new_name)
        _announce(context, workspace, record, stream=bool(stream))


@command(app, "stream", named="job", example="mlops job stream --name train-1")
def stream_job(context: typer.Context, name: str) -> None:
    """Follow a job that was submitted before to its end."""
    with session(context).open() as workspace:
        workspace.jobs.get(name)
        _follow_to_the_end(context, workspace, name)


def _one_file(argument: Path | None, option: Path | None) -> Path:
    if argument is not None and option is not None:
        raise InvalidRequest("The file is named twice.", remedy="Leave one out.")
    file = argument if argument is not None else option
    if file is None:
        raise InvalidRequest("Which job? Its YAML file is missing.", remedy="Give it: --file FILE")
    return file


def _write_record(record: JobRecord, file: Path) -> None:
    from mlops_dagster.cli.formats import yaml_of

    try:
        file.write_text(yaml_of(job_data(record)), encoding="utf-8")
    except OSError as error:
        note(f"The job's record could not be written to {file}: {error.strerror}.")


def _announce(
    context: typer.Context, workspace: Workspace, record: JobRecord, *, stream: bool
) -> None:
    """Follow a job that was just submitted, or say how to."""
    if stream:
        note(f"Job {record.name} ({record.experiment})")
        _follow_to_the_end(context, workspace, record.name)
        return

    def table() -> None:
        print(record.name)
        follow_it = f"{command_prefix(workspace)}mlops job stream {record.name}"
        note(f"Job {record.name} is {record.status}; follow it: {follow_it}")

    show(context, job_data(record), table)


def _rerun(job: Job) -> Job:
    """The job with nothing reused: a pipeline's ``force_rerun`` setting."""
    from mlops_dagster.aml.job import PipelineComponent

    component = job.step.component
    if not isinstance(component, PipelineComponent):
        return job
    forced = component.settings.model_copy(update={"force_rerun": True})
    component = component.model_copy(update={"settings": forced})
    return job.model_copy(update={"step": job.step.model_copy(update={"component": component})})


def _follow_to_the_end(context: typer.Context, workspace: Workspace, name: str) -> None:
    prints_table = session(context).prints_table
    record = follow(workspace, name, stderr=not prints_table)
    if not prints_table:
        show(context, job_data(record), lambda: None)
    raise_unless_completed(workspace.jobs, record)
    if prints_table:
        _print_completed(workspace, record)


def _print_completed(workspace: Workspace, record: JobRecord) -> None:
    steps = workspace.jobs.list(parent=record.name)
    note(completed_line(record, steps))
    for output in record.outputs.values():
        note(f"  {output.name}: {output.asset or output.uri}")
