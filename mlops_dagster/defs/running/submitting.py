"""The job of one asset's materialization: a new one, or the one that an earlier try left.

The name of a job is made of the first run of a chain of retries, the asset and a try number. A
retried or resumed run therefore meets the job that an earlier worker left: it attaches to one that
still runs, or that completed without its materialization having been recorded; a job that failed,
was canceled, or was recorded already is followed by the next try.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial

import dagster as dg

from mlops_dagster.aml.job import Job
from mlops_dagster.defs.materialized_outputs import is_materialized_from
from mlops_dagster.defs.running.following import (
    INTERRUPTIONS,
    PATIENCE_BEFORE,
    cancel_if_terminated,
    completed_job,
    find_job,
    patiently,
)
from mlops_dagster.errors import Conflict
from mlops_dagster.workspace.ports import JobRecord, Jobs, JobStatus


def run_job(context: dg.AssetExecutionContext, jobs: Jobs, job: Job, experiment: str) -> JobRecord:
    """Run ``job`` for the asset that is being materialized and return it completed.

    Raises MlopsError where the workspace refuses it, and as ``completed_job`` does.
    """
    submission = _Submission(context, jobs, job, experiment)
    try:
        record = submission.submit()
    except INTERRUPTIONS:
        cancel_if_terminated(context, jobs, submission.name)
        raise
    record = completed_job(context, jobs, record)
    if record.reused_from:
        context.log.info(
            "Job %s did the same before: its outputs are taken over.", record.reused_from
        )
    return record


@dataclass
class _Submission:
    """The submission of one asset's job.

    Attributes:
        name: of the job that was, or is just being, submitted.
    """

    context: dg.AssetExecutionContext
    jobs: Jobs
    job: Job
    experiment: str
    name: str | None = None

    def submit(self) -> JobRecord:
        """The job of an earlier try that has something to give, or a new one."""
        stem, attempt = _name_stem(self.context), 0
        while True:
            attempt += 1
            name = f"{stem}-{attempt}"
            find = partial(find_job, self.jobs, name)
            known = patiently(find, self.context.log, seconds=PATIENCE_BEFORE)
            if known is not None and self._is_spent(known):
                continue
            try:
                return self._submit_as(name)
            except Conflict:
                if known is None:
                    raise
                self.context.log.info("Job %s ran something else; this is a new try.", name)

    def _submit_as(self, name: str) -> JobRecord:
        self.name = name
        submit = partial(
            self.jobs.submit,
            self.job,
            name=name,
            experiment=self.experiment,
            tags=_tags(self.context),
            reuse=True,
        )
        return patiently(submit, self.context.log, seconds=PATIENCE_BEFORE)

    def _is_spent(self, known: JobRecord) -> bool:
        """Whether a job of an earlier try has nothing more to give."""
        if known.status is JobStatus.COMPLETED:
            return is_materialized_from(self.context, known.name)
        return known.status.is_terminal or known.status is JobStatus.CANCEL_REQUESTED


def _name_stem(context: dg.AssetExecutionContext) -> str:
    """A job's name without its try: the asset, the partition and the first run of the chain."""
    parts = list(context.asset_key.path[1:])
    if context.has_partition_key:
        parts.append(context.partition_key)
    readable = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts))[:150].strip("-")
    whole = "\0".join((*context.asset_key.path, *parts, _root_run(context)))
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _root_run(context: dg.AssetExecutionContext) -> str:
    return context.run.root_run_id or context.run.run_id


def _tags(context: dg.AssetExecutionContext) -> dict[str, str]:
    tags = {"dagster.asset": context.asset_key.to_user_string(), "dagster.run": _root_run(context)}
    if context.has_partition_key:
        tags["dagster.partition"] = context.partition_key
    return tags
