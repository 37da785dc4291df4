"""The workspace's schedules, carried out by Dagster: each a schedule of the project it lies in.

A tick submits the schedule's job under a name made of the schedule and the tick's time, so that a
tick that comes twice, or a run that is retried, meets the job that is there. Disabling, enabling
and deleting a schedule count from its next tick on; a new one is there when the location is loaded
again.
"""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from mlops_dagster.aml.timing import cron_of, is_due, zone_of
from mlops_dagster.defs.running import PATIENCE_BEFORE, completed_job, patiently
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import MlopsError, NotFound
from mlops_dagster.home import find_home
from mlops_dagster.project import Project
from mlops_dagster.workspace import chosen_workspace, connect
from mlops_dagster.workspace.ports import ScheduleRecord


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
    """Submit the job of a tick and follow it. Raises dagster.Failure where it failed."""
    try:
        with workspace.opened() as opened:
            submit = partial(opened.schedules.submit, schedule, at)
            record = patiently(submit, context.log, seconds=PATIENCE_BEFORE)
            completed_job(context, opened.jobs, record)
    except MlopsError as error:
        raise dg.Failure(str(error)) from None
