"""Follows a job of the workspace to its end, for steps, schedules and the landing alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import dagster as dg
from dagster import DagsterExecutionInterruptedError

from mlops_dagster.defs.running.log_streaming import LogFollower
from mlops_dagster.errors import MlopsError, NotFound, WorkspaceUnavailable
from mlops_dagster.workspace.ports import JobRecord, Jobs, JobStatus

T = TypeVar("T")
# How Dagster, and Ctrl-C, end a step in the middle of its work.
INTERRUPTIONS = (DagsterExecutionInterruptedError, KeyboardInterrupt)
Context = dg.AssetExecutionContext | dg.OpExecutionContext

# Seconds of a workspace that does not answer before a run gives up: with nothing started yet, and
# with a job that goes on meanwhile.
PATIENCE_BEFORE, PATIENCE_DURING = 20.0, 300.0
_FIRST_PAUSE = 0.5
_CANCEL_PATIENCE = 30.0
_TAIL_LINES = 25
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds between two looks at a job
_LAST_LINES = 20.0  # seconds at most for what is still to be handed on of an ended job's log


def completed_job(context: Context, jobs: Jobs, record: JobRecord) -> JobRecord:
    """Follow a job and return it completed.

    Raises:
        dagster.Failure: it ended in another state; says why, with the end of its log.
        WorkspaceUnavailable: the workspace has not answered for minutes.
        DagsterExecutionInterruptedError: as ``follow_job`` says.
    """
    record = follow_job(context, jobs, record)
    if record.status is not JobStatus.COMPLETED:
        raise _failure(jobs, record)
    return record


def follow_job(context: Context, jobs: Jobs, record: JobRecord) -> JobRecord:
    """Hand on a job's log until the job has ended, however it ends.

    Where the workspace does not answer, the call is repeated. DagsterExecutionInterruptedError
    passes through: where the run was terminated, the job is canceled first; where only this process
    is shut down, the job goes on for a retry to find.
    """
    where = f" on {record.compute}" if record.compute else ""
    page = f" ({record.url})" if record.url else ""
    context.log.info("Azure ML job %s%s: %s%s", record.name, where, record.status, page)
    follower = LogFollower(jobs, record.name, context.log)
    try:
        return _terminal_record(context, jobs, record.name, follower)
    except INTERRUPTIONS:
        cancel_if_terminated(context, jobs, record.name)
        raise
    finally:
        follower.close()


def cancel_if_terminated(context: Context, jobs: Jobs, name: str | None) -> None:
    """Cancel the job where somebody terminated the run; leave it where only this worker ends.

    Dagster marks a run as canceling before it interrupts the worker.
    """
    run = context.instance.get_run_by_id(context.run.run_id)
    if name is None or run is None:
        return
    if run.status not in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED):
        context.log.warning("This worker ends; job %s goes on for a retry.", name)
        return
    context.log.info("The run is being terminated: job %s is canceled.", name)
    try:
        if find_job(jobs, name) is not None:
            jobs.cancel(name)
            jobs.wait(name, timeout=_CANCEL_PATIENCE)
    except MlopsError as error:
        context.log.warning("Job %s could not be canceled: %s", name, error)


def find_job(jobs: Jobs, name: str) -> JobRecord | None:
    """The job of this name, if there is one."""
    try:
        return jobs.get(name)
    except NotFound:
        return None


def patiently(call: Callable[[], T], log: dg.DagsterLogManager, *, seconds: float) -> T:
    """Repeat a call while the workspace does not answer, and say so once.

    Raises WorkspaceUnavailable where it has not answered for that many seconds.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return call()
        except WorkspaceUnavailable as error:
            if time.monotonic() + pause > deadline:
                raise
            if pause == _FIRST_PAUSE:
                log.warning("The workspace does not answer; the call is repeated: %s", error)
            time.sleep(pause)
            pause = min(2 * pause, 15.0)


def _terminal_record(context: Context, jobs: Jobs, name: str, follower: LogFollower) -> JobRecord:
    pause = _SHORTEST_PAUSE
    while follower.forward(pause):
        record = _during(context, partial(jobs.get, name))
        if record.status.is_terminal:
            if follower.forward(_LAST_LINES):
                context.log.info("More of it: `mlops job logs %s`", name)
            return record
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return _during(context, partial(jobs.wait, name))


def _during(context: Context, call: Callable[[], T]) -> T:
    return patiently(call, context.log, seconds=PATIENCE_DURING)


def _failure(jobs: Jobs, record: JobRecord) -> dg.Failure:
    try:
        tail = jobs.log(record.name, tail=_TAIL_LINES)[-4_000:].strip()
    except MlopsError:
        tail = ""
    reason = record.error or "no reason was given"
    message = f"Job {record.name} ended as {record.status}: {reason}"
    metadata: dict[str, dg.MetadataValue] = {"job": dg.MetadataValue.text(record.name)}
    if record.url:
        metadata["job page"] = dg.MetadataValue.url(record.url)
    if tail:
        metadata["end of the log"] = dg.MetadataValue.md(
            f"```\n{tail.replace('```', '` ` `')}\n```"
        )
    return dg.Failure(f"{message}\n{tail}" if tail else message, metadata=metadata)
