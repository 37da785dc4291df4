"""Running a sweep: its trials side by side, each a job of its own, until a limit is reached.

Trials go through the same queue as every other job and run in threads of the runner that the
sweep, or the pipeline around it, has. Sources: learn.microsoft.com/azure/machine-learning/
how-to-tune-hyperparameters, .../reference-yaml-job-sweep
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from queue import Empty
from typing import Protocol

from mlops_dagster.system.process_tree import identity
from mlops_dagster.system.processes import Cancellation
from mlops_dagster.workspace.local.ground.plan import (
    Data,
    Input,
    Output,
    PlannedStep,
    Trials,
    Value,
    literal_text,
)
from mlops_dagster.workspace.local.kinds.sweep.sampling import Sampler, Trial, sampler_of
from mlops_dagster.workspace.local.kinds.sweep.search import Search
from mlops_dagster.workspace.local.kinds.sweep.search_space import literals
from mlops_dagster.workspace.local.kinds.sweep.termination import fallen_behind
from mlops_dagster.workspace.local.kinds.sweep.trials import (
    TrialResult,
    best_of,
    format_number,
    results_table,
)
from mlops_dagster.workspace.local.queue import reuse
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.records.job_names import free_name
from mlops_dagster.workspace.local.records.jobs import NewJob, status_of
from mlops_dagster.workspace.local.running.context import EndedJobs, RunContext
from mlops_dagster.workspace.local.running.execution import (
    Outcome,
    input_properties,
    resolved_inputs,
    run_to_end,
)
from mlops_dagster.workspace.local.running.sweep_outcome import no_best_trial_reason, publish
from mlops_dagster.workspace.ports import JobStatus

# How often running trials are looked at where a policy may end them.
_LOOK_SECONDS = 0.5


class TrialExecutor(Protocol):
    """Runs the trials of a sweep."""

    def start(self, step: PlannedStep, ended: EndedJobs) -> None:
        """Queue a trial; its name is put to ``ended`` when it has ended."""

    def cancel(self, jobs: set[str], reason: str) -> None:
        """End trials, whether they run or wait."""


def run_sweep(
    context: RunContext, executor: TrialExecutor, step: PlannedStep, cancellation: Cancellation
) -> None:
    """Run a sweep to a terminal state; raises nothing."""
    run_to_end(context, step, lambda: _Sweep(context, executor, step, cancellation).run())


class _Sweep:
    def __init__(
        self,
        context: RunContext,
        executor: TrialExecutor,
        step: PlannedStep,
        cancellation: Cancellation,
    ) -> None:
        assert step.trials is not None  # noqa: S101 - this is what tells a sweep
        self._context = context
        self._executor = executor
        self._step = step
        self._cancellation = cancellation
        self._trials: Trials = step.trials
        self._search = Search(**step.body["search"])
        self._max_concurrent = min(
            self._search.max_concurrent_trials or self._search.max_total_trials,
            max(1, self._trials.max_nodes // self._trials.nodes),
        )
        self._inputs: Mapping[str, Value | Data] = {}
        self._properties: dict[str, str] = {}
        self._results: dict[str, TrialResult] = {}
        self._open_trials: dict[str, Trial] = {}
        self._running: set[str] = set()
        self._ended = EndedJobs()
        self._deadline: float | None = None
        self._timed_out = False
        self._is_ending = False

    def run(self) -> Outcome:
        """Run trials until no further one may run, and report them."""
        self._begin()
        sampler = sampler_of(self._search)
        self._cancellation.listen(lambda: self._ended.put(self._step.job))
        try:
            while self._start_trials(sampler) or self._running:
                self._await(sampler)
        except BaseException:
            self._executor.cancel(set(self._running), "Its sweep failed.")
            while self._running:
                self._running.discard(self._ended.get())
            raise
        best = best_of(
            self._results.values(), self._search.goal, completed=bool(self._step.outputs)
        )
        self._report_results(best)
        return self._outcome(best)

    def _begin(self) -> None:
        context, step = self._context, self._step
        self._inputs = resolved_inputs(context, step)
        deterministic = step.deterministic
        found = reuse.fingerprint(step, self._inputs, context.storage) if deterministic else None
        pid, created = identity(os.getpid())
        os.close(logs.open_log(context.home, step.job))
        with context.state.write() as connection:
            records.forget_environment(connection, step.job)
            records.update_status(
                connection,
                step.job,
                JobStatus.RUNNING,
                only_from=[JobStatus.PREPARING],
                started_at=time.time(),
                fingerprint=found,
                pid=pid,
                pid_created=created,
            )
            metric = {"name": self._search.primary_metric, "goal": self._search.goal}
            known_inputs = input_properties(self._inputs)
            records.add_properties(
                connection, step.job, {**known_inputs, records.PRIMARY_METRIC: json.dumps(metric)}
            )
            records.forget_best(connection, step.job)
            row = records.find(connection, step.job)
        if row is not None:
            known: dict[str, str] = json.loads(row["properties"])
            kept = (records.CODE, records.COMPONENT)
            self._properties = {key: known[key] for key in kept if key in known}
        if step.timeout is not None:
            self._deadline = time.monotonic() + step.timeout

    def _start_trials(self, sampler: Sampler) -> bool:
        """Start as many trials as may run now; returns whether any was started."""
        before = len(self._results)
        while (
            not self._is_ending
            and len(self._running) < self._max_concurrent
            and len(self._results) < self._search.max_total_trials
            and (trial := sampler.ask()) is not None
        ):
            self._start(trial)
        return len(self._results) > before

    def _start(self, trial: Trial) -> None:
        context, step, trials = self._context, self._step, self._trials
        wanted = f"{step.job}_{trial.number}"
        with context.state.write() as connection:
            job = free_name(wanted, lambda name: records.find(connection, name) is not None)
            row = NewJob(
                name=job,
                type="command",
                status=JobStatus.NOT_STARTED,
                experiment=context.plan.experiment,
                root=context.plan.root,
                parent=step.job,
                step=f"trial_{trial.number}",
                display_name=f"trial_{trial.number}",
                compute=trials.compute,
                compute_key=trials.compute_key,
                nodes=trials.nodes,
                max_nodes=trials.max_nodes,
                tags={records.HYPERPARAMETERS: json.dumps(trial.values)},
                properties=self._properties,
            )
            records.insert(connection, [row])
        self._results[job] = TrialResult(job, trial.number, trial.values)
        self._open_trials[job] = trial
        self._running.add(job)
        self._executor.start(self._planned_trial(trial, row), self._ended)

    def _planned_trial(self, trial: Trial, row: NewJob) -> PlannedStep:
        step, storage = self._step, self._context.storage
        values = literals(trial.values, step.body["integers"])
        given = {name: Value(value) for name, value in values.items()}
        inputs: dict[str, Input] = {**self._inputs, **given}
        return replace(
            step,
            job=row.name,
            kind="command",
            body=step.body["trial"],
            path=f"{step.path}.{row.step}".lstrip("."),
            parent=step.job,
            display_name=row.display_name,
            inputs=inputs,
            outputs={
                name: Output(
                    output.type,
                    storage.outputs.default_output(
                        row.name, name, output.type, self._trials.datastore
                    ),
                )
                for name, output in step.outputs.items()
            },
            environment_variables={
                **{
                    f"AZUREML_SWEEP_{name}": literal_text(value.value)
                    for name, value in inputs.items()
                    if isinstance(value, Value)
                },
                **step.environment_variables,
            },
            timeout=self._trials.timeout,
            deterministic=False,  # a trial stands in for no other job
            reuse=False,
            takes_over=None,
            trials=None,
        )

    def _await(self, sampler: Sampler) -> None:
        """Wait until a trial has ended, or the sweep is to, or it is time to look."""
        policy = self._search.early_termination
        try:
            job = self._ended.get(timeout=self._wait_seconds(look=policy is not None))
        except Empty:
            job = ""
        if job in self._running:
            self._running.discard(job)
            self._read_result(self._results[job])
            self._tell_sampler(sampler, job)
        if not self._is_ending and self._is_over():
            self._is_ending = True
            reason = "Its sweep ran longer than its limit." if self._timed_out else None
            self._executor.cancel(set(self._running), reason or self._cancellation.reason)
        elif policy is not None and not self._is_ending:
            self._end_poor_trials()

    def _wait_seconds(self, *, look: bool) -> float | None:
        waits = [_LOOK_SECONDS] if look else []
        if self._deadline is not None and not self._is_ending:
            waits.append(max(0.0, self._deadline - time.monotonic()))
        return min(waits, default=None)

    def _is_over(self) -> bool:
        if self._cancellation.requested:
            return True
        self._timed_out = self._deadline is not None and time.monotonic() >= self._deadline
        return self._timed_out

    def _read_result(self, ended: TrialResult) -> None:
        from mlops_dagster.workspace.local.tracking import values_of

        with self._context.state.read() as connection:
            row = records.find(connection, ended.job)
        assert row is not None  # noqa: S101 - rows of jobs are never removed
        ended.status, ended.error = status_of(row), row["error"]
        ended.logged = values_of(self._context.home, [ended.job], self._search.primary_metric)[
            ended.job
        ]

    def _tell_sampler(self, sampler: Sampler, job: str) -> None:
        ended = self._results[job]
        metric = ended.metric(self._search.goal) if ended.counts else None
        sampler.tell(self._open_trials.pop(job), metric)

    def _end_poor_trials(self) -> None:
        from mlops_dagster.workspace.local.tracking import values_of

        running = [self._results[job] for job in self._running]
        running = [each for each in running if not each.ended_early]
        since = {each.number: len(each.logged) for each in running}
        jobs = [each.job for each in running]
        logged = values_of(self._context.home, jobs, self._search.primary_metric)
        for each in running:
            each.logged = logged[each.job]
        all_logged = {each.number: each.logged for each in self._results.values()}
        search = self._search
        ended = fallen_behind(search.early_termination, search.goal, all_logged, since)
        for each in running:
            if each.number in ended:
                each.ended_early = True
                reason = (
                    f"It was ended early by the {search.policy} policy:"
                    f" {search.primary_metric} was {format_number(each.logged[-1])}"
                    f" after {len(each.logged)} values."
                )
                self._executor.cancel({each.job}, reason)

    def _report_results(self, best: TrialResult | None) -> None:
        """Put how the trials did into the log, and the best one into the record."""
        context, step, search = self._context, self._step, self._search
        if self._results:
            found = list(self._results.values())
            text = results_table(found, search.primary_metric, search.goal, best)
            logs.append(context.home, step.job, text)
        if best is not None:
            score = best.metric(search.goal)
            with context.state.write() as connection:
                records.add_properties(
                    connection, step.job, {records.BEST_CHILD: best.job, records.SCORE: str(score)}
                )

    def _outcome(self, best: TrialResult | None) -> Outcome:
        if self._cancellation.requested:
            if self._context.interrupted:
                return JobStatus.FAILED, "Its runner was asked to end (SIGTERM).", []
            return JobStatus.CANCELED, self._cancellation.reason, []
        if self._timed_out:
            limit = f"It ran longer than its limit of {self._step.timeout:g} s."
            so_far = f" The best trial until then was {best.job}." if best else ""
            return JobStatus.FAILED, limit + so_far, []
        if best is None:
            results = list(self._results.values())
            return JobStatus.FAILED, no_best_trial_reason(self._context, self._search, results), []
        return JobStatus.COMPLETED, None, publish(self._context, self._step, best)
