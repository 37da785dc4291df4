"""Pipelines: each step when what it needs is there, side by side where nothing forbids it.

``continue_on_step_failure``: where it is true, the steps that do not depend on a failed one still
run; where it is false, running steps are canceled and no further one starts. Either way the
pipeline has failed (learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.workspace.local.ground.plan import PlannedPipeline, PlannedStep, Produced
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.records.jobs import status_of
from mlops_dagster.workspace.local.running.context import EndedJobs, RunContext
from mlops_dagster.workspace.local.running.execution import end_tracked
from mlops_dagster.workspace.local.running.executor import StepExecutor
from mlops_dagster.workspace.ports import JobStatus, OutputRecord


def run_pipeline(context: RunContext, executor: StepExecutor) -> None:
    """Run the plan's steps in the order that their inputs ask for, to the pipeline's end."""
    _Pipeline(context, executor).run()


class _Pipeline:
    def __init__(self, context: RunContext, executor: StepExecutor) -> None:
        self._context = context
        self._executor = executor
        self._steps = {step.job: step for step in context.plan.steps}
        self._pipelines = {pipeline.job: pipeline for pipeline in context.plan.pipelines}
        self._missing = {job: set(step.upstreams) for job, step in self._steps.items()}
        self._followers: dict[str, list[str]] = {job: [] for job in self._steps}
        for job, upstreams in self._missing.items():
            for upstream in upstreams:
                self._followers[upstream].append(job)
        self._status: dict[str, JobStatus] = {}
        self._running: set[str] = set()
        self._ended: EndedJobs = EndedJobs()
        self._failed: list[str] = []

    def run(self) -> None:
        ready = [job for job, missing in self._missing.items() if not missing]
        self._start(ready)
        while self._running:
            job = self._ended.get()
            self._running.discard(job)
            self._start(self._ready_after(job))
        for pipeline in reversed(self._context.plan.pipelines):
            self._end_pipeline(pipeline)

    def _start(self, ready: Iterable[str]) -> None:
        """Start steps, or pass over them and on to those behind them."""
        pending = list(ready)
        while pending:
            job = pending.pop(0)
            step = self._steps[job]
            reason = self._skip_reason(step)
            if reason is None:
                self._running.add(job)
                self._start_pipelines(step)
                self._executor.start(step, self._ended)
            else:
                self._context.end(job, JobStatus.CANCELED, error=reason)
                pending += self._ready_after(job)

    def _ready_after(self, job: str) -> list[str]:
        """Note how a step ended; the steps that waited for nothing else."""
        with self._context.state.read() as connection:
            row = records.find(connection, job)
        assert row is not None  # noqa: S101 - rows of jobs are never removed
        self._status[job] = status_of(row)
        if not self._status[job].is_terminal:
            raise WorkspaceUnavailable(f"The end of step {self._steps[job].path} was not recorded.")
        if self._status[job] is JobStatus.FAILED:
            self._failed.append(job)
            if not self._context.plan.continue_on_failure:
                going_on = {job for job, step in self._steps.items() if step.finalizes}
                self._executor.cancel(set(self._steps) - set(self._status) - going_on)
        for pipeline in reversed(self._context.plan.pipelines):
            if pipeline.parent is not None:
                self._end_pipeline(pipeline)
        ready = []
        for follower in self._followers[job]:
            self._missing[follower].discard(job)
            if not self._missing[follower] and follower not in self._status:
                ready.append(follower)
        return ready

    def _skip_reason(self, step: PlannedStep) -> str | None:
        """Why a step is not run."""
        for name, item in step.inputs.items():
            if isinstance(item, Produced) and not item.optional:
                status = self._status[item.job]
                if status is not JobStatus.COMPLETED:
                    upstream = self._steps[item.job].path
                    return f"It was not run: step {upstream}, which writes {name}, {_ending_of(status)}."
        for job in step.after:
            if (status := self._status[job]) is not JobStatus.COMPLETED:
                return f"It was not run: step {self._steps[job].path} {_ending_of(status)}."
        if self._executor.is_canceled(step.job):
            if self._failed and not self._context.plan.continue_on_failure:
                return f"It was not run: step {self._steps[self._failed[0]].path} failed."
            return "It was canceled."
        return None

    def _start_pipelines(self, step: PlannedStep) -> None:
        job = step.parent
        while job is not None and job != self._context.plan.root:
            records.change_status(
                self._context.state,
                job,
                JobStatus.RUNNING,
                only_from=[JobStatus.NOT_STARTED],
                started_at=time.time(),
            )
            job = self._pipelines[job].parent

    def _end_pipeline(self, pipeline: PlannedPipeline) -> None:
        """End a pipeline of which every member has ended."""
        if pipeline.job in self._status:
            return
        with self._context.state.read() as connection:
            rows = [records.find(connection, member) for member in pipeline.members]
            members = [row for row in rows if row is not None]
            if not all(status_of(row).is_terminal for row in members):
                return
            outputs = self._outputs(connection, pipeline)
        status, error = self._outcome(pipeline, members)
        if status is JobStatus.FAILED and pipeline.job == self._context.plan.root:
            # Why the step failed stands in the step's own log, which is followed with this one.
            logs.note(self._context.home, pipeline.job, error or "")
        self._status[pipeline.job] = status
        end_tracked(self._context, pipeline.job, status)
        complete = status is JobStatus.COMPLETED
        self._context.end(pipeline.job, status, error=error, outputs=outputs if complete else ())

    def _outcome(
        self, pipeline: PlannedPipeline, members: list[sqlite3.Row]
    ) -> tuple[JobStatus, str | None]:
        failed = [self._steps[job] for job in self._failed if self._is_in(job, pipeline)]
        if failed:
            with self._context.state.read() as connection:
                row = records.find(connection, failed[0].job)
            why = row["error"] if row is not None else ""
            more = f" ({len(failed) - 1} more steps failed.)" if len(failed) > 1 else ""
            return JobStatus.FAILED, f"Step {failed[0].path} failed: {why}{more}"
        if all(status_of(row) is JobStatus.COMPLETED for row in members):
            return JobStatus.COMPLETED, None
        if self._context.interrupted:
            return JobStatus.FAILED, "Its runner was asked to end (SIGTERM)."
        return JobStatus.CANCELED, "It was canceled."

    def _is_in(self, job: str, pipeline: PlannedPipeline) -> bool:
        parent = self._steps[job].parent
        while parent is not None and parent != pipeline.job:
            parent = self._pipelines[parent].parent
        return parent is not None

    def _outputs(
        self, connection: sqlite3.Connection, pipeline: PlannedPipeline
    ) -> list[OutputRecord]:
        found = []
        for name, source in pipeline.outputs.items():
            output = records.output(connection, source.job, source.output)
            if output is not None:
                found.append(OutputRecord(name, output.type, output.uri, output.asset))
        return found


def _ending_of(status: JobStatus) -> str:
    return "failed" if status is JobStatus.FAILED else "did not run to its end"
