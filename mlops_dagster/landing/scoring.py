"""One attempt at a batch: stage, score, commit, record.

A process may die at any line, and another may work on the same batch at the same time. What makes
that safe: staging appears whole by a rename; the job's name is made of batch, attempt and what was
staged; ``Ledger.freeze_results`` decides once an attempt whose results count, before the first row is
committed; ``commit`` leaves out what the tables hold; closing a closed batch changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import CommandComponent, Job, Limits, PipelineComponent, Step
from mlops_dagster.errors import Conflict, NotFound
from mlops_dagster.landing.commit import commit, rehearse
from mlops_dagster.landing.landing import Landing
from mlops_dagster.landing.ledger import FrozenResults
from mlops_dagster.landing.maintenance import compact_small_files
from mlops_dagster.landing.results import Results, WrongOutput, collect
from mlops_dagster.landing.retries import Failure
from mlops_dagster.landing.staging import Facts, StagedBatch, stage, unstage
from mlops_dagster.landing.values import Batch, BatchOutcome, BatchRecord, BatchState, now
from mlops_dagster.system.files import writing
from mlops_dagster.workspace.ports import JobRecord, JobStatus, Workspace

# Tags of a job: the landing and the batch that it belongs to, and its input that takes the drops.
PROJECT_TAG, BATCH_TAG, INPUT_TAG = "landing.project", "landing.batch", "landing.input"
_MODEL = "landing.model"  # the tag of a job that says which model it scores with


@dataclass(frozen=True)
class ScoringJob:
    """The pipeline that scores a folder of files.

    Attributes:
        job: with every input given but ``drops``.
        model: its model's reference; goes into every row of the table.
        drops: the input that takes the folder of files.
        scores, rejected: its outputs; it may lack ``rejected`` where it never rejects a row.
    """

    job: Job
    model: str
    drops: str = "drops"
    scores: str = "scores"
    rejected: str = "rejected"


def score_batch(
    landing: Landing,
    batch_id: str,
    *,
    workspace: Workspace,
    scoring: ScoringJob,
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
    on_submit: Callable[[JobRecord], None] | None = None,
) -> BatchOutcome:
    """Score a batch, or go on where a process that died had come to, or say how it had ended.

    Args:
        on_submit: called with the job before it is waited for, such as to stream its log.

    Raises:
        NotFound: there is no such batch.
        InvalidRequest: the job itself is wrong; the batch stays open and can be run again.
        StorageUnavailable, WorkspaceUnavailable: something cannot be reached; likewise.
    """
    ledger = landing.ledger
    record = ledger.start(batch_id)
    if not record.state.is_open:
        return _outcome_so_far(landing, record)
    if record.state is BatchState.COMMITTING:
        return _commit_results(landing, record, ledger.frozen_results(batch_id), workspace, scoring)

    with writing(landing.staging):
        staged = stage(record.batch, landing.source, landing.rules.acceptance, landing.staging)
    job = None
    if staged.facts.staged:
        job = _submit(landing, record, staged, workspace, scoring, experiment, tags)
        if on_submit is not None:
            on_submit(job)
        job = workspace.jobs.wait(job.name)
    if job is not None and job.status is not JobStatus.COMPLETED:
        return _record_failure(landing, record, job, _job_failure(job))
    try:
        results = _results(record.batch, staged.facts, job, workspace, scoring)
        rehearse(
            landing.tables,
            record.batch,
            staged.facts,
            results,
            evolution=landing.rules.schema_evolution,
        )
    except WrongOutput as error:
        return _record_failure(landing, record, job, _output_failure(error))
    frozen = FrozenResults(
        job=job.name if job is not None else None,
        facts=staged.facts.to_json(),
        model=job.tags.get(_MODEL, scoring.model) if job is not None else scoring.model,
        at=now().isoformat(),
    )
    try:
        frozen = ledger.freeze_results(batch_id, record.attempt, frozen)
    except Conflict:
        return _outcome_so_far(landing, ledger.batch(batch_id))
    return _commit_results(landing, record, frozen, workspace, scoring)


def fail_attempt(landing: Landing, batch_id: str, attempt: int, error: str) -> BatchRecord:
    """Count an attempt as failed from outside, such as when its run died several times.

    The batch is tried again, divided or given up, as ``retries`` decides. Nothing happens to an
    attempt that is over. Where its results were being committed, what the tables hold of them
    stays, and the next attempt commits the rest. Raises NotFound.
    """
    return landing.ledger.record_failure(
        batch_id, attempt, Failure(error), landing.rules, committing=True
    )


def _submit(
    landing: Landing,
    record: BatchRecord,
    staged: StagedBatch,
    workspace: Workspace,
    scoring: ScoringJob,
    experiment: str | None,
    tags: Mapping[str, str] | None,
) -> JobRecord:
    project = re.sub(r"[^A-Za-z0-9_-]", "-", landing.project)
    name = f"{project}-{record.batch.id}-{record.attempt}-{staged.facts.digest}"
    step = _with_time_limits(scoring.job.step, landing.rules.timeout)
    given = InputValue(type="uri_folder", path=str(staged.folder))
    step = step.model_copy(update={"inputs": {**step.inputs, scoring.drops: given}})
    ours = {
        PROJECT_TAG: landing.project,
        BATCH_TAG: record.batch.id,
        INPUT_TAG: scoring.drops,
        _MODEL: scoring.model,
    }
    try:
        return workspace.jobs.submit(
            scoring.job.model_copy(update={"step": step}),
            name=name,
            experiment=experiment,
            tags={**(tags or {}), **ours},
        )
    except Conflict:
        # Submitted before the model or the pipeline changed: that job stands, with its own tags.
        return workspace.jobs.get(name)


def _with_time_limits(step: Step, timeout: timedelta | None) -> Step:
    """The step with a time limit on every command in it that has none of its own."""
    if timeout is None:
        return step
    component = step.component
    if isinstance(component, PipelineComponent):
        jobs = {name: _with_time_limits(each, timeout) for name, each in component.jobs.items()}
        component = component.model_copy(update={"jobs": jobs})
        return step.model_copy(update={"component": component})
    if not isinstance(component, CommandComponent) or step.sweep is not None:
        return step
    if (step.limits or component.limits) is not None:
        return step
    limits = Limits(timeout=max(1, round(timeout.total_seconds())))
    return step.model_copy(update={"limits": limits})


def _job_failure(job: JobRecord) -> Failure:
    """Why a job that did not complete brought no results."""
    error = f"Job {job.name} ended as {job.status}: {job.error or 'no reason'}"
    return Failure(_one_line(error), is_interruption=job.status is not JobStatus.FAILED)


def _output_failure(error: WrongOutput) -> Failure:
    return Failure(_one_line(str(error)), (error.drop,) if error.drop is not None else ())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _results(
    batch: Batch,
    facts: Facts,
    job: JobRecord | None,
    workspace: Workspace,
    scoring: ScoringJob,
) -> Results:
    if job is None:
        return collect(batch, facts, None, None)
    if scoring.scores not in job.outputs:
        known = ", ".join(sorted(job.outputs)) or "none"
        raise WrongOutput(
            f"Job {job.name} has no output {scoring.scores!r}; it has {known}.",
            remedy="Name the scoring pipeline's outputs scores and rejected.",
        )
    return collect(
        batch,
        facts,
        _output_folder(job, scoring.scores, workspace),
        _output_folder(job, scoring.rejected, workspace),
    )


def _output_folder(job: JobRecord, output: str, workspace: Workspace) -> Path | None:
    found = job.outputs.get(output)
    try:
        return workspace.data.local_path(found.uri) if found is not None else None
    except NotFound as error:
        raise WrongOutput(f"The output {output} of job {job.name} is gone: {error}") from error


def _commit_results(
    landing: Landing,
    record: BatchRecord,
    frozen: FrozenResults,
    workspace: Workspace,
    scoring: ScoringJob,
) -> BatchOutcome:
    """Commit what was frozen, and record it."""
    batch, facts = record.batch, Facts.from_json(frozen.facts)
    at = datetime.fromisoformat(frozen.at)
    job = None
    try:
        if frozen.job is not None:
            job = _frozen_job(frozen.job, workspace)
        results = _results(batch, facts, job, workspace, scoring)
        commit(
            landing.tables,
            batch,
            facts,
            results,
            evolution=landing.rules.schema_evolution,
            model=frozen.model,
            at=at,
        )
    except WrongOutput as error:
        # The outputs are gone, or another batch has changed the table since the rehearsal.
        return _record_failure(landing, record, job, _output_failure(error), committing=True)
    # What took a drop's place is offered here too: no event may announce it.
    landing.ledger.record_drops(facts.successors)
    landing.ledger.close(batch.id, results.outcomes)
    unstage(batch.id, landing.staging)
    compact_small_files(landing.tables)
    return BatchOutcome(
        batch.id, record.attempt, BatchState.DONE, dict(results.outcomes), frozen.job
    )


def _frozen_job(name: str, workspace: Workspace) -> JobRecord:
    try:
        return workspace.jobs.get(name)
    except NotFound as error:
        raise WrongOutput(f"Job {name} was removed before its scores were committed.") from error


def _record_failure(
    landing: Landing,
    record: BatchRecord,
    job: JobRecord | None,
    failure: Failure,
    *,
    committing: bool = False,
) -> BatchOutcome:
    batch = record.batch.id
    after = landing.ledger.record_failure(
        batch, record.attempt, failure, landing.rules, committing=committing
    )
    if after.state is BatchState.FAILED:
        unstage(batch, landing.staging)
    name = job.name if job is not None else None
    return BatchOutcome(batch, record.attempt, after.state, job=name, error=failure.error)


def _outcome_so_far(landing: Landing, record: BatchRecord) -> BatchOutcome:
    """How a batch stands that others have brought further."""
    outcomes = {}
    if record.state is BatchState.DONE:
        found = landing.ledger.drops(batch=record.batch.id)
        outcomes = {entry.drop.id: entry.outcome for entry in found if entry.outcome is not None}
    return BatchOutcome(record.batch.id, record.attempt, record.state, outcomes, error=record.error)
