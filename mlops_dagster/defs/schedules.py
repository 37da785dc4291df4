"""The workspace's schedules, carried out by Dagster: each a schedule of the project it belongs to.

A tick submits the schedule's job under a name made of the schedule and the tick's time, so that a
tick that comes twice, or a run that is retried, meets the job that is there. Disabling, enabling
and deleting a schedule count from its next tick on; a new one is there when the location is loaded
again.
"""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from mlops_dagster.aml import load_schedules
from mlops_dagster.aml.timing import cron_of, is_due, zone_of
from mlops_dagster.defs.running import PATIENCE_BEFORE, completed_job, patiently
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import MlopsError, NotFound
from mlops_dagster.home import find_home
from mlops_dagster.project import Project
from mlops_dagster.workspace import chosen_workspace, connect, workspace_names, workspace_type
from mlops_dagster.workspace.ports import ScheduleRecord


def workspace_schedules(
    project: Project, *, job_names: Iterable[str]
) -> Iterator[dg.ScheduleDefinition]:
    """A Dagster schedule for every schedule of the workspace that belongs to the project.

    That is one that a file below the project's folder made. None for a workspace on Azure, which
    carries out its own. A schedule that cannot be read, or that Dagster does not take, is left out
    with a warning: the rest of the location loads, and loading makes no state.

    Args:
        job_names: of the location's other jobs, which no schedule's job may have.
    """
    chosen = chosen_workspace()
    if chosen not in workspace_names() or workspace_type(chosen).runs_schedules:
        return
    records, warnings = _schedule_records(project)
    names = dagster_names([record.name for record in records], taken=job_names)
    for record in records:
        try:
            yield _definition(record, names[record.name])
        except (MlopsError, dg.DagsterError) as error:
            warnings.append(f"{record.name} ({record.source}): {error}")
    for warning in warnings:
        dg.get_dagster_logger().warning("A schedule is left out: %s", warning)


def dagster_names(names: Sequence[str], *, taken: Iterable[str] = ()) -> Mapping[str, str]:
    """The name in Dagster, which takes letters, digits and ``_``, of each schedule.

    Where two would be alike, the one that had to be changed gets a digest of its name.
    """
    chosen: dict[str, str] = {}
    used = {*taken}
    for name in sorted(names, key=lambda each: (bool(re.search(r"\W", each)), each)):
        wanted = "azure_ml_" + re.sub(r"[^A-Za-z0-9_]", "_", name)
        if wanted in used or f"{wanted}_schedule" in used:
            wanted = f"{wanted}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        chosen[name] = wanted
        used |= {wanted, f"{wanted}_schedule"}
    return chosen


def _schedule_records(project: Project) -> tuple[Sequence[ScheduleRecord], list[str]]:
    """The project's schedules, and warnings about those that cannot be read."""
    warnings: list[str] = []
    if find_home(project.folder).is_dir():
        try:
            workspace = connect(project=project.folder)
            try:
                records = workspace.schedules.list()
                warnings = [str(problem) for problem in workspace.schedules.problems()]
            finally:
                workspace.close()
            return [each for each in records if _belongs_to(project, each)], warnings
        except MlopsError as error:
            warnings = [f"those that were created cannot be read: {error}"]
    schedules, problems = load_schedules(
        project.folder / ".cloud" / chosen_workspace() / "schedules"
    )
    records = [ScheduleRecord.from_schedule(schedule) for schedule in schedules]
    return records, [*warnings, *map(str, problems)]


def _belongs_to(project: Project, record: ScheduleRecord) -> bool:
    return record.source is not None and record.source.is_relative_to(project.folder)


def _definition(record: ScheduleRecord, name: str) -> dg.ScheduleDefinition:
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
        with workspace.connection() as opened:
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
        with workspace.connection() as opened:
            submit = partial(opened.schedules.submit, schedule, at)
            record = patiently(submit, context.log, seconds=PATIENCE_BEFORE)
            completed_job(context, opened.jobs, record)
    except MlopsError as error:
        raise dg.Failure(str(error)) from None
