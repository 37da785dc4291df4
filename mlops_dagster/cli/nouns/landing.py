"""`mlops landing`: what became of the files that landed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_dagster.cli.command import command, group, show
from mlops_dagster.cli.output import ago, note
from mlops_dagster.cli.session import session
from mlops_dagster.cli.tables import print_fields, print_table
from mlops_dagster.errors import InvalidRequest, NotFound
from mlops_dagster.home import find_home, find_projects

if TYPE_CHECKING:
    from mlops_dagster.landing import BatchRecord, DropRecord, Landing

app = group("Files that land, and what became of each.")

_Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="FOLDER",
        help="The project's folder; by default the one around here, or those of workspace.yaml.",
    ),
]


@command(app, "status", example="mlops landing status")
def status(context: typer.Context, project: _Project = None) -> None:
    """Show how many drops, batches and rows there are, and what was given up."""
    landings = _landings(context, project)
    values = [_status_data(landing) for landing in landings]

    def table() -> None:
        for position, value in enumerate(values):
            if position:
                print()
            _print_status(value)

    show(context, values[0] if len(values) == 1 else values, table)


@command(app, "list", example="mlops landing list --state quarantined")
def list_drops(
    context: typer.Context,
    project: _Project = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="Only drops in this state, such as failed."),
    ] = None,
    most: Annotated[
        int,
        typer.Option(
            "--max-results", "-r", metavar="N", min=1, help="At most so many, the newest."
        ),
    ] = 100,
) -> None:
    """List drops in their order: rows in, scored, quarantined, and why."""
    from mlops_dagster import landing as rules

    chosen = None
    if state is not None:
        known = [each.value for each in rules.DropState]
        if state not in known:
            raise InvalidRequest(
                f"There is no state {state!r}.", remedy=f"Choose one of {', '.join(known)}."
            )
        chosen = rules.DropState(state)
    found = [
        record
        for landing in _landings(context, project)
        for record in rules.drops(landing, state=chosen, limit=most)
    ]

    def table() -> None:
        columns = ("drop", "path", "state", "rows", "scored", "quarantined", "reason")
        rows = [_row(record) for record in found]
        empty = "No drop has been seen."
        print_table(columns, rows, empty=empty, shorten=("path", "reason"))
        if len(found) >= most:
            note(f"These are the newest {most:,}; see more with --max-results.")

    show(context, [_drop_data(record) for record in found], table)


@command(app, "replay", example="mlops landing replay flights-2013-11-17.csv")
def replay(
    context: typer.Context,
    drop: Annotated[
        str | None,
        typer.Argument(
            metavar="DROP", help="A drop's id, or its path for the newest drop of that path."
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Offer all drops again that were given up.")
    ] = False,
    project: _Project = None,
) -> None:
    """Offer a quarantined or failed drop, or all failed ones, once more.

    The next look of the sensor puts them into a batch.
    """
    from mlops_dagster import landing as rules

    if (drop is None) is not failed:
        raise InvalidRequest(
            "Found both a drop and --failed." if failed else "Found no drop to offer again.",
            remedy="Name a drop by its id or path, or give --failed for all that were given up.",
        )
    landings = _landings(context, project)
    if drop is None:
        records = [record for landing in landings for record in rules.replay_failed(landing)]
    else:
        landing, drop_id = _find_drop(landings, drop)
        records = [rules.replay(landing, drop_id)]

    def lines() -> None:
        for record in records:
            print(f"{record.drop.path} ({record.drop.id}) waits for the next batch.")
        if not records:
            note("No drop was given up.")

    data = [_drop_data(record) for record in records]
    show(context, data if failed else data[0], lines)


def _landings(context: typer.Context, project: Path | None) -> list[Landing]:
    """The landings of the projects at hand. Raises InvalidRequest where there is none."""
    from mlops_dagster.landing.declaration import declared_landing
    from mlops_dagster.project import read_project

    folders = find_projects(project)
    if not folders:
        raise InvalidRequest(
            f"There is no project.yaml in {(project or Path.cwd()).absolute()} or above it, and "
            "no workspace.yaml that lists one.",
            remedy="Run this in a project's folder, or name it with --project.",
        )
    projects = [read_project(folder) for folder in folders]
    landing_ones = [each for each in projects if each.landing is not None] or projects[:1]
    workspace = session(context).workspace
    return [
        declared_landing(each, home=find_home(each.folder), workspace=workspace)
        for each in landing_ones
    ]


def _find_drop(landings: list[Landing], drop: str) -> tuple[Landing, str]:
    """The landing that knows a drop, and the drop's id. Raises NotFound."""
    from mlops_dagster.landing.declaration import find_drop

    for landing in landings[:-1]:
        try:
            return landing, find_drop(landing, drop).drop.id
        except NotFound:
            continue
    return landings[-1], find_drop(landings[-1], drop).drop.id


def _status_data(landing: Landing) -> dict[str, Any]:
    from mlops_dagster import landing as rules

    found = rules.status(landing)
    return {
        "project": landing.project,
        "source": landing.source.identity,
        "scores": landing.tables.scores,
        "quarantine": landing.tables.quarantine,
        "drops": found.drops,
        "batches": found.batches,
        "rows": found.rows,
        "scored": found.scored,
        "quarantined": found.quarantined,
        "oldest": found.oldest,
        "given_up": [
            {
                "batch": each.batch.id,
                "attempts": each.attempt,
                "drops": len(each.batch.drops),
                "error": each.error,
            }
            for each in _given_up(landing)
        ],
    }


def _given_up(landing: Landing) -> list[BatchRecord]:
    from mlops_dagster import landing as rules

    failed = rules.drops(landing, state=rules.DropState.FAILED, limit=None)
    batches = sorted({record.batch for record in failed if record.batch})
    return [landing.ledger.batch(batch) for batch in batches]


def _print_status(value: Mapping[str, Any]) -> None:
    print_fields(
        {
            "project": value["project"],
            "source": value["source"],
            "scores": value["scores"],
            "quarantine": value["quarantine"],
            "drops": _counts(value["drops"]),
            "batches": _counts(value["batches"]),
            "rows in": f"{value['rows']:,}",
            "rows scored": f"{value['scored']:,}",
            "rows quarantined": f"{value['quarantined']:,}",
            "waiting since": ago(value["oldest"]) if value["oldest"] else None,
        }
    )
    for each in value["given_up"]:
        note(
            f"Batch {each['batch']} ({each['drops']:,} drops) was given up after "
            f"{each['attempts']} attempts: {each['error']}"
        )
    if value["given_up"]:
        note("See its drops: mlops landing list --state failed; then mlops landing replay --failed")


def _row(record: DropRecord) -> tuple[object, ...]:
    outcome = record.outcome
    drop = (record.drop.id, record.drop.path, record.state)
    if outcome is None:
        return (*drop, None, None, None, None)
    return (*drop, outcome.rows, outcome.scored, outcome.quarantined, outcome.reason)


def _drop_data(record: DropRecord) -> dict[str, object]:
    names = ("id", "path", "state", "rows", "scored", "quarantined", "reason")
    return {
        **dict(zip(names, _row(record), strict=True)),
        "seen_at": record.seen_at,
        "batch": record.batch,
        "offer": record.offer,
        "size": record.drop.size,
    }


def _counts(states: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in states.items()) or "none"
