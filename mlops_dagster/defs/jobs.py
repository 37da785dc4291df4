"""Jobs and schedules: the pipelines of a project, run on demand or at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from mlops_dagster.defs import asset_specs
from mlops_dagster.defs.keys import model_key, product_key, step_key
from mlops_dagster.project import Project, RunnableJob

JobDefinition = Any  # Dagster exports no name for what define_asset_job returns


def project_jobs(project: Project) -> Iterator[tuple[RunnableJob, JobDefinition]]:
    """A job for every pipeline, with what it makes, and those that ``jobs:`` declares."""
    for job in project.jobs.values():
        yield (
            job,
            dg.define_asset_job(
                job.name,
                selection=dg.AssetSelection.assets(*_asset_keys(project, job)),
                description=_description(project, job),
            ),
        )


def project_schedules(
    project: Project, jobs: list[tuple[RunnableJob, JobDefinition]]
) -> Iterator[dg.ScheduleDefinition]:
    """A schedule for every job that has a ``cron``; off until somebody turns it on."""
    for job, definition in jobs:
        if job.cron is not None:
            yield _schedule(project, job, definition)


def _description(project: Project, job: RunnableJob) -> str | None:
    """What project.yaml says of the job, else what the pipeline's own file says."""
    pipelines = [project.pipelines[name] for name in job.pipelines]
    own = pipelines[0].description or pipelines[0].job.description if len(pipelines) == 1 else ""
    return job.description or own or None


def _asset_keys(project: Project, job: RunnableJob) -> Iterator[dg.AssetKey]:
    """The steps of the job's pipelines, and the products and models that they make."""
    for name in job.pipelines:
        for step in project.pipelines[name].upstreams:
            yield step_key(project.name, name, step)
    for product in project.products.values():
        if product.origin is not None and product.origin.pipeline in job.pipelines:
            yield product_key(project.name, product.name)
    for model in project.models.values():
        if model.origin.pipeline in job.pipelines:
            yield model_key(project.name, model.name)


def _schedule(
    project: Project, job: RunnableJob, definition: JobDefinition
) -> dg.ScheduleDefinition:
    windows = next(
        (found for name in job.pipelines if (found := project.pipelines[name].partitions)), None
    )
    name, description = f"{job.name}_schedule", job.description or None
    if windows is None:
        return dg.ScheduleDefinition(
            name=name,
            job=definition,
            cron_schedule=job.cron,
            execution_timezone=job.timezone,
            description=description,
        )
    partitions = asset_specs.partitions_definition(windows)
    assert partitions is not None  # noqa: S101 - there are windows

    @dg.schedule(
        name=name,
        job=definition,
        cron_schedule=job.cron or "",
        execution_timezone=job.timezone,
        description=description,
    )
    def newest_window(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with dg.partition_loading_context(effective_dt=context.scheduled_execution_time):
            key = partitions.get_last_partition_key()
        if key is None:
            return dg.SkipReason(f"No {windows.every} has ended yet.")
        return dg.RunRequest(run_key=key, partition_key=key)

    return newest_window
