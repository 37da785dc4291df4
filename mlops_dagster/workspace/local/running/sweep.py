"""Carrying out a sweep: its trials side by side, each a job of its own, until a limit is reached.

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
    Leaf,
    Output,
    Trials,
    Value,
    literal_text,
)
from mlops_dagster.workspace.local.kinds.sweep import trials as standing
from mlops_dagster.workspace.local.kinds.sweep.sampling import Sampler, Trial, sampler_of
from mlops_dagster.workspace.local.kinds.sweep.search import Search
from mlops_dagster.workspace.local.kinds.sweep.search_space import literals
from mlops_dagster.workspace.local.kinds.sweep.termination import fallen_behind
from mlops_dagster.workspace.local.kinds.sweep.trials import Standing, best_of
from mlops_dagster.workspace.local.queue import reuse
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.records.job_names import free_name
from mlops_dagster.workspace.local.records.jobs import NewJob, status_of
from mlops_dagster.workspace.local.running.context import Ended, Site
from mlops_dagster.workspace.local.running.execution import Outcome, carry_out, concrete, read_by
from mlops_dagster.workspace.local.running.sweep_outcome import nothing_found, publish
from mlops_dagster.workspace.ports import JobStatus

# How often running trials are looked at where a policy may end them.
_LOOK_SECONDS = 0.5


class TrialExecutor(Protocol):
    """Runs the trials of a sweep."""

    def start(self, leaf: Leaf, ended: Ended) -> None:
        """Queue a trial; its name is put to ``ended`` when it has ended."""

    def cancel(self, jobs: set[str], reason: str) -> None:
        """End trials, whether they run or wait."""


def conduct(site: Site, crew: TrialExecutor, leaf: Leaf, cancellation: Cancellation) -> None:
    """Run a sweep to a terminal state; raises nothing."""
    carry_out(site, leaf, lambda: _Sweep(site, crew, leaf, cancellation).run())


class _Sweep:
    def __init__(
        self, site: Site, crew: TrialExecutor, leaf: Leaf, cancellation: Cancellation
    ) -> None:
        assert leaf.trials is not None  # noqa: S101 - this is what tells a sweep
        self._site = site
        self._crew = crew
        self._leaf = leaf
        self._cancellation = cancellation
        self._trials: Trials = leaf.trials
        self._search = Search(**leaf.body["search"])
        self._at_once = min(
            self._search.max_concurrent_trials or self._search.max_total_trials,
            max(1, self._trials.max_nodes // self._trials.nodes),
        )
        self._inputs: Mapping[str, Value | Data] = {}
        self._properties: dict[str, str] = {}
        self._standings: dict[str, Standing] = {}
        self._asked: dict[str, Trial] = {}
        self._running: set[str] = set()
        self._ended = Ended()
        self._deadline: float | None = None
        self._timed_out = False
        self._over = False

    def run(self) -> Outcome:
        """Run trials until there are no more to run, and tell of them."""
        self._begin()
        sampler = sampler_of(self._search)
        self._cancellation.listen(lambda: self._ended.put(self._leaf.job))
        try:
            while self._start_trials(sampler) or self._running:
                self._await(sampler)
        except BaseException:
            self._crew.cancel(set(self._running), "Its sweep failed.")
            while self._running:
                self._running.discard(self._ended.get())
            raise
        best = best_of(
            self._standings.values(), self._search.goal, completed=bool(self._leaf.outputs)
        )
        self._tell(best)
        return self._verdict(best)

    def _begin(self) -> None:
        site, leaf = self._site, self._leaf
        self._inputs = concrete(site, leaf)
        deterministic = leaf.deterministic
        found = reuse.fingerprint(leaf, self._inputs, site.storage) if deterministic else None
        pid, created = identity(os.getpid())
        os.close(logs.open_log(site.home, leaf.job))
        with site.state.write() as connection:
            records.forget_environment(connection, leaf.job)
            records.moved(
                connection,
                leaf.job,
                JobStatus.RUNNING,
                only_from=[JobStatus.PREPARING],
                started_at=time.time(),
                fingerprint=found,
                pid=pid,
                pid_created=created,
            )
            records.add_properties(connection, leaf.job, read_by(self._inputs))
            records.forget_best(connection, leaf.job)
            row = records.find(connection, leaf.job)
        if row is not None:
            known: dict[str, str] = json.loads(row["properties"])
            kept = (records.CODE, records.COMPONENT)
            self._properties = {key: known[key] for key in kept if key in known}
        if leaf.timeout is not None:
            self._deadline = time.monotonic() + leaf.timeout

    def _start_trials(self, sampler: Sampler) -> bool:
        """Start as many as may run now; whether any was."""
        before = len(self._standings)
        while (
            not self._over
            and len(self._running) < self._at_once
            and len(self._standings) < self._search.max_total_trials
            and (trial := sampler.ask()) is not None
        ):
            self._start(trial)
        return len(self._standings) > before

    def _start(self, trial: Trial) -> None:
        site, leaf, trials = self._site, self._leaf, self._trials
        wanted = f"{leaf.job}_{trial.number}"
        with site.state.write() as connection:
            job = free_name(wanted, lambda name: records.find(connection, name) is not None)
            row = NewJob(
                name=job,
                type="command",
                status=JobStatus.NOT_STARTED,
                experiment=site.plan.experiment,
                root=site.plan.root,
                parent=leaf.job,
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
        self._standings[job] = Standing(job, trial.number, trial.values)
        self._asked[job] = trial
        self._running.add(job)
        self._crew.start(self._leaf_of(trial, row), self._ended)

    def _leaf_of(self, trial: Trial, row: NewJob) -> Leaf:
        leaf, storage = self._leaf, self._site.storage
        values = literals(trial.values, leaf.body["integers"])
        given = {name: Value(value) for name, value in values.items()}
        inputs: dict[str, Input] = {**self._inputs, **given}
        return replace(
            leaf,
            job=row.name,
            kind="command",
            body=leaf.body["trial"],
            path=f"{leaf.path}.{row.step}".lstrip("."),
            parent=leaf.job,
            display_name=row.display_name,
            inputs=inputs,
            outputs={
                name: Output(
                    output.type,
                    storage.default_output(row.name, name, output.type, self._trials.datastore),
                )
                for name, output in leaf.outputs.items()
            },
            environment_variables={
                **{
                    f"AZUREML_SWEEP_{name}": literal_text(value.value)
                    for name, value in inputs.items()
                    if isinstance(value, Value)
                },
                **leaf.environment_variables,
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
            job = self._ended.get(timeout=self._patience(look=policy is not None))
        except Empty:
            job = ""
        if job in self._running:
            self._running.discard(job)
            self._close(self._standings[job])
            self._tell_sampler(sampler, job)
        if not self._over and self._is_over():
            self._over = True
            reason = "Its sweep ran longer than its limit." if self._timed_out else None
            self._crew.cancel(set(self._running), reason or self._cancellation.reason)
        elif policy is not None and not self._over:
            self._end_poor_trials()

    def _patience(self, *, look: bool) -> float | None:
        waits = [_LOOK_SECONDS] if look else []
        if self._deadline is not None and not self._over:
            waits.append(max(0.0, self._deadline - time.monotonic()))
        return min(waits, default=None)

    def _is_over(self) -> bool:
        if self._cancellation.requested:
            return True
        self._timed_out = self._deadline is not None and time.monotonic() >= self._deadline
        return self._timed_out

    def _close(self, ended: Standing) -> None:
        from mlops_dagster.workspace.local.tracking import values_of

        with self._site.state.read() as connection:
            row = records.find(connection, ended.job)
        assert row is not None  # noqa: S101 - rows of jobs are never removed
        ended.status, ended.error = status_of(row), row["error"]
        ended.logged = values_of(self._site.home, [ended.job], self._search.primary_metric)[
            ended.job
        ]

    def _tell_sampler(self, sampler: Sampler, job: str) -> None:
        ended = self._standings[job]
        metric = ended.metric(self._search.goal) if ended.counts else None
        sampler.tell(self._asked.pop(job), metric)

    def _end_poor_trials(self) -> None:
        from mlops_dagster.workspace.local.tracking import values_of

        running = [self._standings[job] for job in self._running]
        running = [each for each in running if not each.ended_early]
        since = {each.number: len(each.logged) for each in running}
        jobs = [each.job for each in running]
        logged = values_of(self._site.home, jobs, self._search.primary_metric)
        for each in running:
            each.logged = logged[each.job]
        all_logged = {each.number: each.logged for each in self._standings.values()}
        search = self._search
        ended = fallen_behind(search.early_termination, search.goal, all_logged, since)
        for each in running:
            if each.number in ended:
                each.ended_early = True
                reason = (
                    f"It was ended early by the {search.policy} policy:"
                    f" {search.primary_metric} was {standing.number(each.logged[-1])}"
                    f" after {len(each.logged)} values."
                )
                self._crew.cancel({each.job}, reason)

    def _tell(self, best: Standing | None) -> None:
        """Put how the trials did into the log, and the best one into the record."""
        site, leaf, search = self._site, self._leaf, self._search
        if self._standings:
            found = list(self._standings.values())
            text = standing.table(found, search.primary_metric, search.goal, best)
            logs.append(site.home, leaf.job, text)
        if best is not None:
            score = best.metric(search.goal)
            with site.state.write() as connection:
                records.add_properties(
                    connection, leaf.job, {records.BEST_CHILD: best.job, records.SCORE: str(score)}
                )

    def _verdict(self, best: Standing | None) -> Outcome:
        if self._cancellation.requested:
            if self._site.interrupted:
                return JobStatus.FAILED, "Its runner was told to end (SIGTERM).", []
            return JobStatus.CANCELED, self._cancellation.reason, []
        if self._timed_out:
            limit = f"It ran longer than its limit of {self._leaf.timeout:g} s."
            so_far = f" The best trial until then was {best.job}." if best else ""
            return JobStatus.FAILED, limit + so_far, []
        if best is None:
            standings = list(self._standings.values())
            return JobStatus.FAILED, nothing_found(self._site, self._search, standings), []
        return JobStatus.COMPLETED, None, publish(self._site, self._leaf, best)
