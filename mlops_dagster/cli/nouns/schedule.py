"""`mlops schedule`: jobs that run again and again, in the words of `az ml schedule`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.command import command, group, show
from mlops_dagster.cli.nouns.registry import MaxResults
from mlops_dagster.cli.output import note
from mlops_dagster.cli.records import job_data, schedule_data
from mlops_dagster.cli.session import session
from mlops_dagster.cli.tables import print_fields, print_table
from mlops_dagster.errors import InvalidRequest
from mlops_dagster.home import find_project

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import ScheduleRecord

app = group("Run jobs again and again, at their times.")


@command(app, "create", example="mlops schedule create --file schedules/nightly.yml")
def create(
    context: typer.Context,
    file: Annotated[
        Path, typer.Option("--file", "-f", metavar="FILE", help="The schedule's YAML file.")
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", metavar="NAME", help="Instead of the name in the file."),
    ] = None,
) -> None:
    """Create a schedule, or put its file's new content in place of the old."""
    from mlops_dagster.aml import load_schedule

    schedule = load_schedule(file)
    if name is not None and name != schedule.name:
        raise InvalidRequest(
            f"{file} describes the schedule {schedule.name!r}, not {name!r}.",
            remedy="Write the name into the file: Dagster reads the schedule from there.",
        )
    with session(context).open(file.absolute().parent) as workspace:
        record = workspace.schedules.create(schedule)

    def table() -> None:
        print(record.name)
        if find_project(file.absolute().parent) is None:
            note("Its file lies in no project, so no code location of Dagster carries it out.")
        else:
            note("It runs while `mlops ui` does. Reload the project in a UI that is open now.")

    show(context, schedule_data(record), table)


@command(app, "list", example="mlops schedule list")
def list_schedules(
    context: typer.Context,
    most: MaxResults = None,
    disabled_only: Annotated[
        bool, typer.Option("--disabled-only", help="Only disabled schedules.")
    ] = False,
    _include_disabled: Annotated[
        bool, typer.Option("--include-disabled", hidden=True, help="They are listed anyway.")
    ] = False,
) -> None:
    """List the schedules, enabled and disabled."""
    with session(context).open() as workspace:
        records, problems = list(workspace.schedules.list()), workspace.schedules.problems()
    for problem in problems:
        note(f"A schedule is left out: {problem}")
    if disabled_only:
        records = [record for record in records if not record.is_enabled]
    records = records[:most]

    def table() -> None:
        rows = [(r.name, _state(r), _cron(r), _zone(r), r.source) for r in records]
        empty = "There are no schedules; create one: mlops schedule create --file FILE"
        columns = ("name", "state", "cron", "time zone", "file")
        print_table(columns, rows, empty=empty, shorten=("file",))

    show(context, [schedule_data(record) for record in records], table)


@command(app, "show", named="schedule", example="mlops schedule show --name nightly")
def show_schedule(context: typer.Context, name: str) -> None:
    """Show a schedule and its trigger."""
    with session(context).open() as workspace:
        record = workspace.schedules.get(name)

    def table() -> None:
        trigger = record.trigger.model_dump(exclude_defaults=True)
        print_fields(
            {
                "name": record.name,
                "state": _state(record),
                "display name": record.display_name,
                "description": record.description,
                "trigger": record.trigger.type,
                **{key.replace("_", " "): text for key, text in trigger.items() if key != "type"},
                "as cron": _cron(record),
                "time zone": _zone(record),
                "created": record.created_at,
                "tags": record.tags,
                "file": record.source,
            }
        )

    show(context, schedule_data(record), table)


@command(app, "enable", named="schedule", example="mlops schedule enable --name nightly")
def enable(context: typer.Context, name: str) -> None:
    """Let a disabled schedule run again, from its next time on."""
    with session(context).open() as workspace:
        _show_state(context, workspace.schedules.enable(name))


@command(app, "disable", named="schedule", example="mlops schedule disable --name nightly")
def disable(context: typer.Context, name: str) -> None:
    """Keep a schedule and do not run it; jobs that run go on."""
    with session(context).open() as workspace:
        _show_state(context, workspace.schedules.disable(name))


@command(app, "trigger", named="schedule", example="mlops schedule trigger --name nightly")
def trigger(
    context: typer.Context,
    name: str,
    at: Annotated[
        str | None,
        typer.Option(
            "--schedule-time",
            metavar="TIME",
            help="The time to run for, as ISO 8601; by default now. Each is run once.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Submit a schedule's job at once, whether it is enabled or not."""
    moment = _moment(at) if at is not None else datetime.now(UTC)
    with session(context).open() as workspace:
        record = workspace.schedules.submit(name, moment)
    show(context, job_data(record), lambda: print(record.name))


@command(app, "delete", named="schedule", example="mlops schedule delete --name nightly")
def delete(
    context: typer.Context,
    name: str,
) -> None:
    """Remove a schedule; its jobs stay."""
    with session(context).open() as workspace:
        # One that cannot be read can be deleted all the same.
        record = next((each for each in workspace.schedules.list() if each.name == name), None)
        workspace.schedules.delete(name)
    if record is not None:
        show(context, schedule_data(record), lambda: None)
    note(f"Schedule {name} is deleted.")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is no time.", remedy="For example: --schedule-time 2024-05-06T07:00:00Z"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _show_state(context: typer.Context, record: ScheduleRecord) -> None:
    show(context, schedule_data(record), lambda: None)
    note(f"Schedule {record.name} is {_state(record)}.")


def _state(record: ScheduleRecord) -> str:
    return "enabled" if record.is_enabled else "disabled"


def _cron(record: ScheduleRecord) -> str:
    from mlops_dagster.aml.timing import cron_of

    return cron_of(record.trigger, record.created_at)


def _zone(record: ScheduleRecord) -> str:
    from mlops_dagster.aml.timing import zone_of

    return zone_of(record.trigger).key
