"""One job of the workspace for one step of a run: started, or found again, and followed to its end.

The name of a job is made of the first run of a chain of retries, the asset and a try number. A
retried or resumed run therefore meets the job that an earlier worker left: it attaches to one that
still runs, or that completed without its materialization having been recorded; a job that failed,
was canceled, or was recorded already is followed by the next try.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import dagster as dg
from dagster import DagsterExecutionInterruptedError

from mlops_dagster.aml.job import Job
from mlops_dagster.defs.newest import was_recorded
from mlops_dagster.defs.streaming import LogFollower
from mlops_dagster.errors import Conflict, MlopsError, NotFound, WorkspaceUnavailable
from mlops_dagster.workspace.ports import JobRecord, Jobs, JobStatus

T = TypeVar("T")

# Seconds of a workspace that does not answer before a step gives up: with nothing started yet, and
# with a job that goes on meanwhile.
_PATIENCE_BEFORE, _PATIENCE_DURING = 20.0, 300.0
_FIRST_PAUSE = 0.5
_CANCEL_PATIENCE = 30.0
_TAIL_LINES = 25
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds between two looks at a job
_LAST_LINES = 20.0  # seconds at most for what is still to be handed on of an ended job's log


def run_job(context: dg.AssetExecutionContext, jobs: Jobs, job: Job, experiment: str) -> JobRecord:
    """Run ``job`` for the asset that is being materialized and return it completed.

    Raises:
        MlopsError: the workspace refused it.
        dagster.Failure: it ended in another state; says why, with the end of its log.
        DagsterExecutionInterruptedError: the run was terminated, and the job is canceled with it;
            or this process is being shut down, and the job goes on for a retry to find.
    """
    run = _Run(context, jobs, job, experiment)
    try:
        record = run.followed(run.started())
    except (DagsterExecutionInterruptedError, KeyboardInterrupt):
        cancel_if_terminated(context, jobs, run.name)
        raise
    if record.status is not JobStatus.COMPLETED:
        raise _failure(jobs, record)
    if record.reused_from:
        context.log.info(
            "Job %s did the same before: its outputs are taken over.", record.reused_from
        )
    return record


def cancel_if_terminated(context: dg.AssetExecutionContext, jobs: Jobs, name: str | None) -> None:
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
        if _find(jobs, name) is not None:
            jobs.cancel(name)
            jobs.wait(name, timeout=_CANCEL_PATIENCE)
    except MlopsError as error:
        context.log.warning("Job %s could not be canceled: %s", name, error)


def _patiently(call: Callable[[], T], log: dg.DagsterLogManager, *, seconds: float) -> T:
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
                log.warning("The workspace does not answer and is asked again: %s", error)
            time.sleep(pause)
            pause = min(2 * pause, 15.0)


@dataclass
class _Run:
    """One step of a run, and the job that it has come to.

    Attributes:
        name: of the job that was, or is just being, submitted.
    """

    context: dg.AssetExecutionContext
    jobs: Jobs
    job: Job
    experiment: str
    name: str | None = None

    def started(self) -> JobRecord:
        """The job of an earlier try that has something to give, or a new one."""
        stem, attempt = _stem(self.context), 0
        while True:
            attempt += 1
            name = f"{stem}-{attempt}"
            known = self._asked(partial(_find, self.jobs, name), _PATIENCE_BEFORE)
            if known is not None and self._is_spent(known):
                continue
            try:
                return self._submitted(name)
            except Conflict:
                if known is None:
                    raise
                self.context.log.info("Job %s ran something else; this is a new try.", name)

    def followed(self, record: JobRecord) -> JobRecord:
        """Hand on the job's log until the job has ended."""
        where = f" on {record.compute}" if record.compute else ""
        page = f" ({record.url})" if record.url else ""
        self.context.log.info("Azure ML job %s%s: %s%s", record.name, where, record.status, page)
        follower = LogFollower(self.jobs, record.name, self.context.log)
        pause = _SHORTEST_PAUSE
        try:
            while follower.forward(pause):
                record = self._asked(partial(self.jobs.get, record.name))
                if record.status.is_terminal:
                    if follower.forward(_LAST_LINES):
                        self.context.log.info("More of it: `mlops job logs %s`", record.name)
                    return record
                pause = min(pause * 1.5, _LONGEST_PAUSE)
            return self._asked(partial(self.jobs.wait, record.name))
        finally:
            follower.close()

    def _submitted(self, name: str) -> JobRecord:
        self.name = name
        submit = partial(
            self.jobs.submit,
            self.job,
            name=name,
            experiment=self.experiment,
            tags=_tags(self.context),
            reuse=True,
        )
        return self._asked(submit, _PATIENCE_BEFORE)

    def _asked(self, call: Callable[[], T], seconds: float = _PATIENCE_DURING) -> T:
        return _patiently(call, self.context.log, seconds=seconds)

    def _is_spent(self, known: JobRecord) -> bool:
        """Whether a job of an earlier try has nothing more to give."""
        if known.status is JobStatus.COMPLETED:
            return was_recorded(self.context, known.name)
        return known.status.is_terminal or known.status is JobStatus.CANCEL_REQUESTED


def _find(jobs: Jobs, name: str) -> JobRecord | None:
    try:
        return jobs.get(name)
    except NotFound:
        return None


def _stem(context: dg.AssetExecutionContext) -> str:
    """A job's name without its try: the asset, the partition and the first run of the chain."""
    parts = list(context.asset_key.path[1:])
    if context.has_partition_key:
        parts.append(context.partition_key)
    told = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts))[:150].strip("-")
    whole = "\0".join((*context.asset_key.path, *parts, _root_run(context)))
    return f"{told}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _root_run(context: dg.AssetExecutionContext) -> str:
    return context.run.root_run_id or context.run.run_id


def _tags(context: dg.AssetExecutionContext) -> dict[str, str]:
    tags = {"dagster.asset": context.asset_key.to_user_string(), "dagster.run": _root_run(context)}
    if context.has_partition_key:
        tags["dagster.partition"] = context.partition_key
    return tags


def _failure(jobs: Jobs, record: JobRecord) -> dg.Failure:
    try:
        tail = jobs.log(record.name, tail=_TAIL_LINES)[-4_000:].strip()
    except MlopsError:
        tail = ""
    reason = record.error or "no reason was given"
    told = f"Job {record.name} ended as {record.status}: {reason}"
    metadata: dict[str, dg.MetadataValue] = {"job": dg.MetadataValue.text(record.name)}
    if record.url:
        metadata["job page"] = dg.MetadataValue.url(record.url)
    if tail:
        metadata["end of the log"] = dg.MetadataValue.md(
            f"```\n{tail.replace('```', '` ` `')}\n```"
        )
    return dg.Failure(f"{told}\n{tail}" if tail else told, metadata=metadata)
