"""Jobs of a landing: score, offer a drop once more, acknowledge quarantine, keep tables small."""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

from collections.abc import Iterator
from typing import Any

import dagster as dg

from mlops_dagster.defs.landing.history import delete_old_runs
from mlops_dagster.defs.landing.keys import (
    ACKNOWLEDGE_JOB,
    REPLAY_JOB,
    SCORING_JOB,
    UPKEEP_JOB,
    project_landing,
    quarantine_key,
    scores_key,
)
from mlops_dagster.defs.landing.quarantine import seen_observation
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import MlopsError
from mlops_dagster.landing import clear_jobs, compact, differences, expire, replay
from mlops_dagster.landing.declaration import find_drop
from mlops_dagster.project import Project
from mlops_dagster.workspace import Workspace

_MOST_NAMED = 20


class DropConfig(dg.Config):
    """Which drop to offer again: its id, or its path for the newest drop of that path."""

    drop: str


def scoring_job(project: Project) -> Any:
    """Scores the batch that a run is tagged with; without a tag, all that waits."""
    return dg.define_asset_job(
        SCORING_JOB,
        selection=dg.AssetSelection.assets(scores_key(project), quarantine_key(project)),
        description="Scores the batch that the run is tagged with; without a tag, all that waits.",
    )


def replay_job(project: Project) -> dg.JobDefinition:
    """Offers a quarantined or failed drop once more; the sensor does the rest."""

    @dg.op(name="offer_drop_again")
    def offer(context: dg.OpExecutionContext, config: DropConfig) -> None:
        try:
            landing = project_landing(project)
            record = replay(landing, find_drop(landing, config.drop).drop.id)
        except MlopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log.info("%s (%s) waits for the next batch.", record.drop.path, record.drop.id)

    @dg.job(name=REPLAY_JOB, description=replay_job.__doc__)
    def job() -> None:
        offer()

    return job


def acknowledge_job(project: Project) -> dg.JobDefinition:
    """Says that what lies in quarantine now has been seen: the check ``unseen`` passes again."""

    @dg.op(name="mark_quarantine_seen")
    def mark_seen(context: dg.OpExecutionContext) -> None:
        try:
            observation = seen_observation(project, project_landing(project))
        except MlopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        context.log_event(observation)
        context.log.info(observation.description)

    @dg.job(name=ACKNOWLEDGE_JOB, description=acknowledge_job.__doc__)
    def job() -> None:
        mark_seen()

    return job


def upkeep_job(project: Project) -> dg.JobDefinition:
    """Compacts both tables, counts every row of every drop, and deletes what is not needed."""

    @dg.op(name="keep_tables")
    def keep(context: dg.OpExecutionContext, workspace: WorkspaceResource) -> None:
        try:
            with workspace.connection() as ready:
                _keep(context, project, ready)
        except MlopsError as error:
            raise dg.Failure(str(error), allow_retries=False) from None

    @dg.job(name=UPKEEP_JOB, description=upkeep_job.__doc__)
    def job() -> None:
        keep()

    return job


def landing_schedules(
    project: Project, scoring: Any, upkeep: dg.JobDefinition
) -> Iterator[dg.ScheduleDefinition]:
    """The upkeep, on from the start; and periodic scoring, where it is declared, off until then."""
    assert project.landing is not None  # noqa: S101 - called where there is one
    declared = project.landing.declared
    if declared.cron is not None:
        yield dg.ScheduleDefinition(
            name=f"{SCORING_JOB}_schedule",
            job=scoring,
            cron_schedule=declared.cron,
            execution_timezone=declared.timezone,
            description="Scores all that waits, next to the sensor or instead of it.",
        )
    yield dg.ScheduleDefinition(
        name=f"{UPKEEP_JOB}_schedule",
        job=upkeep,
        cron_schedule=declared.upkeep,
        execution_timezone=declared.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Keeps the landing's tables small, and deletes what is not needed any more.",
    )


def _keep(context: dg.OpExecutionContext, project: Project, workspace: Workspace) -> None:
    assert project.landing is not None  # noqa: S101 - its job exists
    landing, keep = project_landing(project), project.landing.declared.keep
    for done in compact(landing.tables):
        context.log.info("%s: %d small files became %d", done.table, done.removed, done.added)
    for done in expire(landing.tables, keep=keep):
        context.log.info("%s: %d old files deleted", done.table, done.removed)
    cleared = clear_jobs(landing, workspace, keep=keep)
    context.log.info("%d old jobs archived, without what they read and wrote", cleared.jobs)
    context.log.info("%d old runs deleted", delete_old_runs(context.instance, landing, keep=keep))
    wrong = differences(landing)
    if wrong:
        named = "\n".join(str(each) for each in wrong[:_MOST_NAMED])
        raise dg.Failure(f"{len(wrong):,} drops do not add up:\n{named}", allow_retries=False)
    context.log.info("Every row of every drop is scored or in quarantine, once.")
