"""The executor of a plan's steps: each runs in a thread, with its nodes, until it ends.

A step waits for its node in the same queue as every other job. Meanwhile, and while commands run,
``serve`` looks every now and then whether somebody wants a job to end or a node has become free.
"""

from __future__ import annotations

import threading
import time
import traceback

from mlops_dagster.errors import MlopsError, WorkspaceUnavailable
from mlops_dagster.system.processes import Cancellation
from mlops_dagster.workspace.local.ground.plan import PlannedStep
from mlops_dagster.workspace.local.queue import queue, reuse
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.logs import note
from mlops_dagster.workspace.local.running.context import EndedJobs, RunContext
from mlops_dagster.workspace.local.running.execution import execute, resolved_inputs
from mlops_dagster.workspace.ports import JobStatus

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5


class StepExecutor:
    """Runs steps of one plan side by side."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._cancellations: dict[str, Cancellation] = {}
        self._waiting: dict[str, tuple[PlannedStep, EndedJobs]] = {}
        self._canceled: set[str] = set()
        self._parents = {pipeline.job: pipeline.parent for pipeline in context.plan.pipelines}
        self._parents |= {step.job: step.parent for step in context.plan.steps}
        self._woken = threading.Event()

    def start(self, step: PlannedStep, ended: EndedJobs) -> None:
        """Queue a step whose upstreams have completed; its name is put to ``ended`` at its end."""
        if self._take_over(step) or (step.reuse and self._reuse(step)):
            ended.put(step.job)
            return
        with self._lock:
            self._parents[step.job] = step.parent  # a sweep's trials are not in the plan
            self._waiting[step.job] = (step, ended)
        with self._context.state.write() as connection:
            records.update_status(
                connection,
                step.job,
                JobStatus.QUEUED,
                only_from=[JobStatus.NOT_STARTED],
                queued_at=time.time(),
            )
            starts = queue.grant(connection, self._context.home)
        queue.start(self._context.state, starts)
        self._begin_granted()

    def begin(self, step: PlannedStep, ended: EndedJobs) -> None:
        """Run a step that has its nodes already."""
        cancellation = Cancellation()
        with self._lock:
            self._cancellations[step.job] = cancellation
            if step.job in self._canceled:
                cancellation.request()

        def work() -> None:
            try:
                if step.trials is None:
                    execute(self._context, step, cancellation)
                else:
                    from mlops_dagster.workspace.local.running.sweep import run_sweep

                    run_sweep(self._context, self, step, cancellation)
            finally:
                with self._lock:
                    del self._cancellations[step.job]
                    self._idle.notify_all()
                ended.put(step.job)
                self._woken.set()

        threading.Thread(target=work, name=step.job).start()

    def is_canceled(self, job: str) -> bool:
        """Whether somebody wants this job, or a pipeline around it, to end."""
        with self._lock:
            return job in self._canceled

    def cancel(self, jobs: set[str], reason: str = "It was canceled.") -> None:
        """End these jobs, whether they run or wait."""
        with self._lock:
            self._canceled |= jobs
            running = [item for job, item in self._cancellations.items() if job in jobs]
            waiting = [job for job in self._waiting if job in jobs]
        for cancellation in running:
            cancellation.request(reason)
        for job in waiting:
            with self._context.state.write() as connection:
                records.end(connection, job, JobStatus.CANCELED, error=reason)
        self._begin_granted()

    def cancel_all(self, reason: str) -> None:
        """End whatever runs or waits, and wait until nothing runs any more."""
        self.cancel({step.job for step in self._context.plan.steps}, reason)
        with self._idle:
            self._idle.wait_for(lambda: not self._cancellations)

    def interrupt(self) -> None:
        """End everything that runs, because the runner itself is to end."""
        self._context.interrupted = True
        self.cancel({step.job for step in self._context.plan.steps})

    def serve(self, work: threading.Thread) -> None:
        """Keep watch until ``work`` is done."""
        pause = _SHORTEST_PAUSE
        while work.is_alive():
            try:
                self._check_requests()
            except WorkspaceUnavailable:
                traceback.print_exc()  # the disk may have room again the next time
            if self._woken.wait(pause):
                self._woken.clear()
                pause = _SHORTEST_PAUSE
            else:
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    def wake(self) -> None:
        """Let ``serve`` look at once."""
        self._woken.set()

    def _check_requests(self) -> None:
        plan = self._context.plan
        with self._context.state.read() as connection:
            rows = connection.execute(
                "SELECT name FROM jobs WHERE root = ? AND cancel = 1", (plan.root,)
            ).fetchall()
        canceled = {row["name"] for row in rows}
        if canceled:
            with self._lock:
                parents = dict(self._parents)
            wanted = {job for job in parents if canceled & set(_with_ancestors(job, parents))}
            if new := wanted - self._canceled:
                self.cancel(new)
        with self._lock:
            anybody = bool(self._waiting)
        if anybody:
            queue.advance(self._context.state)
            self._begin_granted()

    def _begin_granted(self) -> None:
        with self._lock:
            names = list(self._waiting)
        if not names:
            return
        with self._context.state.read() as connection:
            rows = connection.execute(
                "SELECT name, status FROM jobs WHERE root = ? AND status IN (?, ?, ?)",
                (
                    self._context.plan.root,
                    JobStatus.PREPARING,
                    JobStatus.CANCEL_REQUESTED,
                    JobStatus.CANCELED,
                ),
            ).fetchall()
        for row in rows:
            with self._lock:
                waited = self._waiting.pop(row["name"], None)
            if waited is None:
                continue
            step, ended = waited
            if row["status"] == JobStatus.CANCELED:
                ended.put(step.job)
            else:
                self.begin(step, ended)

    def _take_over(self, step: PlannedStep) -> bool:
        """Whether what completed in the pipeline that this one resumes stands in for this one."""
        if step.takes_over is None:
            return False
        with self._context.state.read() as connection:
            done = reuse.completed_job(connection, step.takes_over, self._context.storage)
        if done is None:
            note(
                self._context.home, step.job, f"The outputs of {step.takes_over} are gone: it runs."
            )
            return False
        self._complete_from(step, done, reuse.resume_note(done[0]))
        return True

    def _reuse(self, step: PlannedStep) -> bool:
        """Whether a job that was done before stands in for this one."""
        context = self._context
        try:
            found = reuse.fingerprint(step, resolved_inputs(context, step), context.storage)
        except (MlopsError, OSError):  # an input is gone; running the step will say which
            return False
        with context.state.read() as connection:
            done = reuse.find_completed(connection, found, context.storage)
        if done is None:
            return False
        self._complete_from(step, done, reuse.reuse_note(done[0]))
        return True

    def _complete_from(self, step: PlannedStep, done: reuse.CompletedJob, reason: str) -> None:
        job, outputs = done
        note(self._context.home, step.job, reason)
        self._context.end(step.job, JobStatus.COMPLETED, reused_from=job, outputs=outputs)


def _with_ancestors(job: str | None, parents: dict[str, str | None]) -> list[str]:
    found = []
    while job is not None:
        found.append(job)
        job = parents.get(job)
    return found
