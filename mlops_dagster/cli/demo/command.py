"""`mlops demo`: a project from its raw data to a registered model and scores, in Dagster."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.command import show
from mlops_dagster.cli.dagster.instance import Place, find_place
from mlops_dagster.cli.demo.drops import emulated_account
from mlops_dagster.cli.demo.landing import score_example
from mlops_dagster.cli.demo.summary import jobs_of, print_summary, summarize
from mlops_dagster.cli.output import note
from mlops_dagster.cli.progress import Outcome, Progress
from mlops_dagster.cli.session import session
from mlops_dagster.errors import InvalidRequest, MlopsError

if TYPE_CHECKING:
    from mlops_dagster.cli.dagster.runs import Location
    from mlops_dagster.project import Project
    from mlops_dagster.workspace import Workspace

_SAMPLE = Path("projects") / "flight_delays"
_TERMINATION_SECONDS = 30


def demo(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option("--project", help="The project's folder; by default projects/flight_delays."),
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition", help="Of the pipelines that have partitions; by default the first."
        ),
    ] = None,
    landing: Annotated[
        bool,
        typer.Option("--landing/--no-landing", help="Drop example files and have them scored."),
    ] = True,
    azurite: Annotated[
        str | None,
        typer.Option(
            "--azurite",
            metavar="WORKSPACE",
            help="Have the files land in this workspace's storage account, emulated by Azurite.",
        ),
    ] = None,
) -> None:
    """Run a project in Dagster, from raw data to scores, and the files that land.

    Every pipeline runs once, for one partition where it has partitions. What has not changed since
    an earlier run is reused.
    """
    from mlops_dagster.project import read_project

    started = time.monotonic()
    place = find_place(project)
    declared = read_project((project or place.root / _SAMPLE).absolute())
    # The code server and its runs take over this process's environment.
    os.environ.update(place.environment())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if (chosen := session(context).workspace) is not None:
        os.environ["MLOPS_WORKSPACE"] = chosen
    with (
        emulated_account(place, declared, azurite),
        session(context).open(declared.folder) as workspace,
    ):
        outcomes = _run_all(
            place, declared, partition, workspace, quiet=not session(context).prints_table
        )
        landing_summary = None
        if landing:
            landing_summary = score_example(place, declared, emulated=azurite is not None)
        summary = summarize(
            workspace, declared, outcomes, time.monotonic() - started, landing_summary
        )
    show(context, summary, lambda: print_summary(summary))
    # The process ends here: to collect Dagster's objects one by one would take it a second or more.
    gc.freeze()


@dataclass(frozen=True)
class PlannedRun:
    """A Dagster job that the demo is to run, and whether it has partitions."""

    job: str
    partitioned: bool


def planned_runs(project: Project) -> list[PlannedRun]:
    """The jobs that run every pipeline once, in an order in which each finds what it reads.

    Pipelines that a declared job runs together go in one run where they may.

    Raises InvalidRequest where there is no pipeline.
    """
    if not project.pipelines:
        raise InvalidRequest(
            f"Project {project.name} declares no pipeline.",
            remedy=f"Add one to {project.file} under pipelines:",
        )
    upstream = _upstream_pipelines(project)
    try:
        ordered = list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        raise InvalidRequest(
            f"Pipelines wait for one another: {' -> '.join(error.args[1])}."
        ) from None
    planned: list[PlannedRun] = []
    done: set[str] = set()
    for name in ordered:
        if name in done:
            continue
        group = _shared_job(project, name, done, upstream)
        done |= {name} if group is None else set(project.jobs[group].pipelines)
        planned.append(PlannedRun(group or name, project.pipelines[name].partitions is not None))
    return planned


def _upstream_pipelines(project: Project) -> dict[str, set[str]]:
    """For each pipeline, those that make the products and models that feed it."""
    from mlops_dagster.project import ModelInput, ProductInput

    needs: dict[str, set[str]] = {}
    for name, pipeline in project.pipelines.items():
        origins = set()
        for feed in pipeline.feeds.values():
            if isinstance(feed, ProductInput):
                product = project.products[feed.product]
                origins.add(product.origin.pipeline if product.origin else name)
            elif isinstance(feed, ModelInput):
                origins.add(project.models[feed.model].origin.pipeline)
        needs[name] = origins - {name}
    return needs


def _shared_job(
    project: Project, first: str, done: set[str], needs: dict[str, set[str]]
) -> str | None:
    """The declared job that runs most pipelines, ``first`` among them, all of which can run now."""
    partitions = project.pipelines[first].partitions
    fitting = [
        (len(job.pipelines), name)
        for name, job in project.jobs.items()
        if first in job.pipelines
        and done.isdisjoint(job.pipelines)
        and all(project.pipelines[other].partitions == partitions for other in job.pipelines)
        and set().union(*(needs[other] for other in job.pipelines)) <= done | set(job.pipelines)
    ]
    return max(fitting)[1] if fitting else None


def _run_all(
    place: Place, project: Project, partition: str | None, workspace: Workspace, *, quiet: bool
) -> list[Outcome]:
    from mlops_dagster.cli.dagster.runs import load_location

    outcomes = []
    note(f"Loading {project.name} in Dagster ({place.dagster_home}) ...")
    with load_location(place, project.folder) as location:
        for planned in planned_runs(project):
            chosen = _partition(location, planned, partition)
            run_id = location.launch(planned.job, partition=chosen)
            outcome = Outcome(planned.job, chosen, run_id)
            outcomes.append(outcome)
            try:
                with Progress(outcome, project.name, quiet=quiet) as progress:
                    for entry in location.events(run_id):
                        progress.take(entry)
            except KeyboardInterrupt:
                _end(location, run_id, workspace)
                raise
            outcome.succeeded = location.succeeded(run_id)
            if not outcome.succeeded:
                raise MlopsError(
                    outcome.failure_message(),
                    remedy=f"Look at run {run_id[:8]} in the UI: mlops ui",
                )
    return outcomes


def _partition(location: Location, planned: PlannedRun, wanted: str | None) -> str | None:
    if not planned.partitioned:
        return None
    keys = location.partition_keys(planned.job)
    if wanted is None:
        return keys[0]
    if wanted not in keys:
        raise InvalidRequest(
            f"Job {planned.job} has no partition {wanted!r}.",
            remedy=f"Its partitions go from {keys[0]} to {keys[-1]}.",
        )
    return wanted


def _end(location: Location, run_id: str, workspace: Workspace) -> None:
    """End a run and its jobs.

    The run's worker gets a terminal's Ctrl-C as well, and may leave its job to a retry of the run,
    which will not come.
    """
    note(f"Ending run {run_id[:8]} ...")
    location.terminate(run_id)
    deadline = time.monotonic() + _TERMINATION_SECONDS
    for _ in location.events(run_id):
        if time.monotonic() > deadline:
            break
    for record in jobs_of(workspace, run_id):
        if not record.status.is_terminal:
            workspace.jobs.cancel(record.name)
            workspace.jobs.wait(record.name, timeout=_TERMINATION_SECONDS)
    note("It has ended. Run the demo again: what was finished is reused.")
