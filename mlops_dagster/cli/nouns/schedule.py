"""`mlops schedule`: jobs that run again and again, in the words of `az ml schedule`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.output import Format, Output, note, print_fields, print_json, print_table
from mlops_dagster.cli.session import find_project, session

if TYPE_CHECKING:
    from mlops_dagster.workspace.ports import ScheduleRecord

app = typer.Typer(help="Run jobs again and again, at their times.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]


@app.command()
def create(
    context: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="The schedule's YAML file.")],
    output: Output = Format.TABLE,
) -> None:
    """Create a schedule, or put its file's new content in place of the old."""
    from mlops_dagster.aml import load_schedule

    schedule = load_schedule(file)
    with session(context).open(file.absolute().parent) as workspace:
        record = workspace.schedules.create(schedule)
    if output is Format.JSON:
        print_json(_plain(record))
        return
    print(record.name)
    if find_project(file.absolute().parent) is None:
        note("Its file lies in no project, so that no code location of Dagster carries it out.")
    else:
        note("It is carried out while `mlops ui` runs; one that runs now is to reload the project.")


@app.command("list")
def list_schedules(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the schedules."""
    with session(context).open() as workspace:
        records, problems = workspace.schedules.list(), workspace.schedules.problems()
    for problem in problems:
        note(f"A schedule is left out: {problem}")
    if output is Format.JSON:
        print_json([_plain(record) for record in records])
        return
    rows = [
        (r.name, "enabled" if r.is_enabled else "disabled", _cron(r), _zone(r), r.source)
        for r in records
    ]
    empty = "There are no schedules; create one: mlops schedule create -f FILE"
    print_table(("name", "state", "cron", "time zone", "file"), rows, empty=empty)


@app.command()
def show(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Show a schedule and its trigger."""
    with session(context).open() as workspace:
        record = workspace.schedules.get(name)
    if output is Format.JSON:
        print_json(_plain(record))
        return
    trigger = record.trigger.model_dump(exclude_defaults=True)
    print_fields(
        {
            "name": record.name,
            "state": "enabled" if record.is_enabled else "disabled",
            "display name": record.display_name,
            "description": record.description,
            "trigger": record.trigger.type,
            **{key.replace("_", " "): value for key, value in trigger.items() if key != "type"},
            "as cron": _cron(record),
            "time zone": _zone(record),
            "created": record.created_at,
            "tags": record.tags,
            "file": record.source,
        }
    )


@app.command()
def enable(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Let a disabled schedule run again, from its next time on."""
    with session(context).open() as workspace:
        _changed(workspace.schedules.enable(name), output)


@app.command()
def disable(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Keep a schedule and do not run it; jobs that run go on."""
    with session(context).open() as workspace:
        _changed(workspace.schedules.disable(name), output)


@app.command()
def delete(context: typer.Context, name: _Name, output: Output = Format.TABLE) -> None:
    """Remove a schedule; its jobs stay."""
    with session(context).open() as workspace:
        # One that cannot be read can be deleted all the same.
        record = next((each for each in workspace.schedules.list() if each.name == name), None)
        workspace.schedules.delete(name)
    if output is Format.JSON and record is not None:
        print_json(_plain(record))
    note(f"Schedule {name} is deleted.")


def _changed(record: ScheduleRecord, output: Format) -> None:
    if output is Format.JSON:
        print_json(_plain(record))
    note(f"Schedule {record.name} is {'enabled' if record.is_enabled else 'disabled'}.")


def _plain(record: ScheduleRecord) -> dict[str, object]:
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return {**fields, "trigger": record.trigger.model_dump(), "cron": _cron(record)}


def _cron(record: ScheduleRecord) -> str:
    from mlops_dagster.aml.timing import cron_of

    return cron_of(record.trigger, record.created_at)


def _zone(record: ScheduleRecord) -> str:
    from mlops_dagster.aml.timing import zone_of

    return zone_of(record.trigger).key
