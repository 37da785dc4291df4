"""The workspace's schedules, carried out by Dagster: each a schedule of the project it lies in.

A tick submits the schedule's job under a name made of the schedule and the tick's time, so that a
tick that comes twice, or a run that is retried, meets the job that is there. Disabling, enabling
and deleting a schedule count from its next tick on; a new one is there when the location is loaded
again.
"""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
from dagster import DagsterExecutionInterruptedError

from mlops_dagster.aml.timing import cron_of, is_due, zone_of
from mlops_dagster.defs.resource import WorkspaceResource
from mlops_dagster.errors import MlopsError, NotFound
from mlops_dagster.home import find_home
from mlops_dagster.project import Project
from mlops_dagster.workspace import chosen_workspace, connect
from mlops_dagster.workspace.ports import JobRecord, Jobs, JobStatus, ScheduleRecord

_PAUSE = 1.0  # seconds between two looks at a job
_TAIL_LINES = 25


def workspace_schedules(project: Project) -> Iterator[dg.ScheduleDefinition]:
    """A Dagster schedule for every schedule of the workspace whose file lies in the project.

    None for a workspace on Azure, which carries out its own; none where the state cannot be read:
    a location loads all the same, and makes no state.
    """
    chosen = chosen_workspace()
    if chosen != "local" or not find_home(project.folder).is_dir():
        return
    try:
        workspace = connect(project=project.folder)
        try:
            found = workspace.schedules.list()
        finally:
            workspace.close()
    except MlopsError as error:
        dg.get_dagster_logger().warning("The workspace's schedules are left out: %s", error)
        return
    for record in found:
        if record.source is not None and record.source.is_relative_to(project.folder):
            yield _definition(record)


def _definition(record: ScheduleRecord) -> dg.ScheduleDefinition:
    name = "azure_ml_" + re.sub(r"[^A-Za-z0-9_]", "_", record.name)

    @dg.op(name=f"{name}_job_of_a_tick", config_schema={"at": str})
    def submit(context: dg.OpExecutionContext, workspace: WorkspaceResource) -> None:
        _run(context, workspace, record.name, datetime.fromisoformat(context.op_config["at"]))

    @dg.job(name=name, description=record.description or None, tags={"schedule": record.name})
    def scheduled() -> None:
        submit()

    @dg.schedule(
        name=f"{name}_schedule",
        job=scheduled,
        cron_schedule=cron_of(record.trigger, record.created_at),
        execution_timezone=zone_of(record.trigger).key,
        description=record.display_name or record.description or None,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def tick(
        context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
    ) -> dg.RunRequest | dg.SkipReason:
        with workspace.opened() as opened:
            try:
                now = opened.schedules.get(record.name)
            except NotFound:
                return dg.SkipReason(f"The schedule {record.name} has been deleted.")
        at = context.scheduled_execution_time
        if not now.is_enabled:
            return dg.SkipReason(f"The schedule {record.name} is disabled.")
        if not is_due(now.trigger, at, now.created_at):
            return dg.SkipReason(f"The schedule {record.name} is not due at {at.isoformat()}.")
        config: dict[str, Any] = {"ops": {submit.name: {"config": {"at": at.isoformat()}}}}
        return dg.RunRequest(run_key=f"{record.name} {at.isoformat()}", run_config=config)

    return tick


def _run(
    context: dg.OpExecutionContext, workspace: WorkspaceResource, schedule: str, at: datetime
) -> None:
    """Submit the job of a tick and wait for its end. Raises dagster.Failure where it failed."""
    with workspace.opened() as opened:
        record = opened.schedules.submit(schedule, at)
        context.log.info(
            "Azure ML job %s: follow it with `mlops job stream %s`", *[record.name] * 2
        )
        try:
            while not (record := opened.jobs.get(record.name)).status.is_terminal:
                time.sleep(_PAUSE)
        except DagsterExecutionInterruptedError:
            if _is_being_terminated(context):
                opened.jobs.cancel(record.name)
            raise
        if record.status is not JobStatus.COMPLETED:
            raise _failure(opened.jobs, record)


def _is_being_terminated(context: dg.OpExecutionContext) -> bool:
    """Whether somebody terminated the run; else only this worker is to end, and the job goes on."""
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status in (
        dg.DagsterRunStatus.CANCELING,
        dg.DagsterRunStatus.CANCELED,
    )


def _failure(jobs: Jobs, record: JobRecord) -> dg.Failure:
    told = f"Job {record.name} ended as {record.status}: {record.error or 'no reason was given'}"
    return dg.Failure(f"{told}\n{jobs.log(record.name, tail=_TAIL_LINES)}".strip())
