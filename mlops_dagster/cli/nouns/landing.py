"""`mlops landing`: files that land, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_dagster.cli.output import (
    Format,
    Output,
    ago,
    note,
    print_fields,
    print_json,
    print_table,
)
from mlops_dagster.cli.session import find_project, session
from mlops_dagster.errors import InvalidRequest

if TYPE_CHECKING:
    from mlops_dagster.landing import DropRecord, Landing

app = typer.Typer(no_args_is_help=True, help="Files that land, and what became of each.")

_Project = Annotated[
    Path | None,
    typer.Option("--project", help="The project's folder; by default the one around here."),
]


@app.command()
def status(context: typer.Context, project: _Project = None, output: Output = Format.TABLE) -> None:
    """Show how many drops, batches and rows there are, and what was given up."""
    from mlops_dagster import landing as rules

    landing = _opened(context, project)
    found = rules.status(landing)
    failed = rules.drops(landing, state=rules.DropState.FAILED, limit=None)
    batches = sorted({record.batch for record in failed if record.batch})
    given_up = [landing.ledger.batch(batch) for batch in batches]
    if output is Format.JSON:
        print_json(
            {
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
                    for each in given_up
                ],
            }
        )
        return
    print_fields(
        {
            "project": landing.project,
            "source": landing.source.identity,
            "scores": landing.tables.scores,
            "quarantine": landing.tables.quarantine,
            "drops": _counted(found.drops),
            "batches": _counted(found.batches),
            "rows in": f"{found.rows:,}",
            "rows scored": f"{found.scored:,}",
            "rows quarantined": f"{found.quarantined:,}",
            "waiting since": ago(found.oldest) if found.oldest else None,
        }
    )
    for each in given_up:
        note(
            f"Batch {each.batch.id} ({len(each.batch.drops):,} drops) was given up after "
            f"{each.attempt} attempts: {each.error}"
        )
    if given_up:
        note("See its drops: mlops landing list --state failed; then mlops landing replay DROP")


@app.command("list")
def list_(
    context: typer.Context,
    project: _Project = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only drops in this state, such as quarantined.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many, the newest.")
    ] = 100,
    output: Output = Format.TABLE,
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
    landing = _opened(context, project)
    found = rules.drops(landing, state=chosen, limit=limit)
    if output is Format.JSON:
        print_json([_plain(record) for record in found])
        return
    columns = ("drop", "path", "state", "seen", "rows", "scored", "quarantined", "reason")
    print_table(columns, [_row(record) for record in found], empty="No drop has been seen.")
    if len(found) == limit:
        note(f"These are the newest {limit:,}; see more with --limit.")


@app.command()
def replay(
    context: typer.Context,
    drop: Annotated[
        str, typer.Argument(help="A drop's id, or its path for the newest drop of that path.")
    ],
    project: _Project = None,
    output: Output = Format.TABLE,
) -> None:
    """Offer a quarantined or failed drop once more.

    The next look of the sensor puts it into a batch.
    """
    from mlops_dagster.landing import replay as offer
    from mlops_dagster.landing.declared import find_drop

    landing = _opened(context, project)
    record = offer(landing, find_drop(landing, drop).drop.id)
    if output is Format.JSON:
        print_json(_plain(record))
    else:
        print(f"{record.drop.path} ({record.drop.id}) waits for the next batch.")


def _opened(context: typer.Context, project: Path | None) -> Landing:
    from mlops_dagster.home import find_home
    from mlops_dagster.landing.declared import declared_landing
    from mlops_dagster.project import read_project

    folder = find_project(project)
    if folder is None:
        raise InvalidRequest(
            f"There is no project.yaml in {(project or Path.cwd()).absolute()} or above it.",
            remedy="Run this in a project's folder, or name it with --project.",
        )
    workspace = session(context).workspace
    return declared_landing(read_project(folder), home=find_home(folder), workspace=workspace)


def _row(record: DropRecord) -> tuple[object, ...]:
    outcome = record.outcome
    seen = (record.drop.id, record.drop.path, record.state, record.seen_at)
    if outcome is None:
        return (*seen, None, None, None, None)
    return (*seen, outcome.rows, outcome.scored, outcome.quarantined, outcome.reason)


def _plain(record: DropRecord) -> dict[str, object]:
    names = ("id", "path", "state", "seen_at", "rows", "scored", "quarantined", "reason")
    return {
        **dict(zip(names, _row(record), strict=True)),
        "batch": record.batch,
        "offer": record.offer,
        "size": record.drop.size,
    }


def _counted(states: Mapping[Any, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in states.items()) or "none"
