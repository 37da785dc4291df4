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
from mlops_dagster.workspace.local.ground.plan import Group, Leaf, Produced
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records import logs
from mlops_dagster.workspace.local.records.jobs import status_of
from mlops_dagster.workspace.local.running.context import Ended, Site
from mlops_dagster.workspace.local.running.execution import end_tracked
from mlops_dagster.workspace.local.running.executor import Crew
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

_LOG_TAIL = 20


def run_pipeline(site: Site, crew: Crew) -> None:
    """Run the plan's leaves in the order that their inputs ask for, to the pipeline's end."""
    _Pipeline(site, crew).run()


class _Pipeline:
    def __init__(self, site: Site, crew: Crew) -> None:
        self._site = site
        self._crew = crew
        self._leaves = {leaf.job: leaf for leaf in site.plan.leaves}
        self._groups = {group.job: group for group in site.plan.groups}
        self._missing = {job: set(leaf.upstreams) for job, leaf in self._leaves.items()}
        self._followers: dict[str, list[str]] = {job: [] for job in self._leaves}
        for job, upstreams in self._missing.items():
            for upstream in upstreams:
                self._followers[upstream].append(job)
        self._status: dict[str, JobStatus] = {}
        self._running: set[str] = set()
        self._ended: Ended = Ended()
        self._failed: list[str] = []

    def run(self) -> None:
        ready = [job for job, missing in self._missing.items() if not missing]
        self._start(ready)
        while self._running:
            job = self._ended.get()
            self._running.discard(job)
            self._start(self._after(job))
        for group in reversed(self._site.plan.groups):
            self._end_group(group)

    def _start(self, ready: Iterable[str]) -> None:
        """Start steps, or pass over them and on to those behind them."""
        pending = list(ready)
        while pending:
            job = pending.pop(0)
            leaf = self._leaves[job]
            reason = self._reason_not_to(leaf)
            if reason is None:
                self._running.add(job)
                self._open_groups(leaf)
                self._crew.start(leaf, self._ended)
            else:
                self._site.end(job, JobStatus.CANCELED, error=reason)
                pending += self._after(job)

    def _after(self, job: str) -> list[str]:
        """Note how a step ended; the steps that waited for nothing else."""
        with self._site.state.read() as connection:
            row = records.find(connection, job)
        assert row is not None  # noqa: S101 - rows of jobs are never removed
        self._status[job] = status_of(row)
        if not self._status[job].is_terminal:
            raise WorkspaceUnavailable(
                f"The end of step {self._leaves[job].path} was not recorded."
            )
        if self._status[job] is JobStatus.FAILED:
            self._failed.append(job)
            if not self._site.plan.continue_on_failure:
                self._crew.cancel(set(self._leaves) - set(self._status))
        for group in reversed(self._site.plan.groups):
            if group.parent is not None:
                self._end_group(group)
        ready = []
        for follower in self._followers[job]:
            self._missing[follower].discard(job)
            if not self._missing[follower] and follower not in self._status:
                ready.append(follower)
        return ready

    def _reason_not_to(self, leaf: Leaf) -> str | None:
        """Why a step is not run."""
        for name, item in leaf.inputs.items():
            if isinstance(item, Produced) and not item.optional:
                status = self._status[item.job]
                if status is not JobStatus.COMPLETED:
                    upstream = self._leaves[item.job].path
                    return f"It was not run: step {upstream}, which writes {name}, {_did(status)}."
        if self._crew.is_canceled(leaf.job):
            if self._failed and not self._site.plan.continue_on_failure:
                return f"It was not run: step {self._leaves[self._failed[0]].path} failed."
            return "It was canceled."
        return None

    def _open_groups(self, leaf: Leaf) -> None:
        job = leaf.parent
        while job is not None and job != self._site.plan.root:
            records.move(
                self._site.state,
                job,
                JobStatus.RUNNING,
                only_from=[JobStatus.NOT_STARTED],
                started_at=time.time(),
            )
            job = self._groups[job].parent

    def _end_group(self, group: Group) -> None:
        """End a pipeline of which every member has ended."""
        if group.job in self._status:
            return
        with self._site.state.read() as connection:
            rows = [records.find(connection, member) for member in group.members]
            members = [row for row in rows if row is not None]
            if not all(status_of(row).is_terminal for row in members):
                return
            outputs = self._outputs(connection, group)
        status, error = self._verdict(group, members)
        if status is JobStatus.FAILED and group.job == self._site.plan.root:
            self._tell(error or "")
        self._status[group.job] = status
        end_tracked(self._site, group.job, status)
        complete = status is JobStatus.COMPLETED
        self._site.end(group.job, status, error=error, outputs=outputs if complete else ())

    def _verdict(self, group: Group, members: list[sqlite3.Row]) -> tuple[JobStatus, str | None]:
        failed = [self._leaves[job] for job in self._failed if self._is_in(job, group)]
        if failed:
            with self._site.state.read() as connection:
                row = records.find(connection, failed[0].job)
            why = row["error"] if row is not None else ""
            more = f" ({len(failed) - 1} more steps failed.)" if len(failed) > 1 else ""
            return JobStatus.FAILED, f"Step {failed[0].path} failed: {why}{more}"
        if all(status_of(row) is JobStatus.COMPLETED for row in members):
            return JobStatus.COMPLETED, None
        if self._site.interrupted:
            return JobStatus.FAILED, "Its runner was told to end (SIGTERM)."
        return JobStatus.CANCELED, "It was canceled."

    def _is_in(self, job: str, group: Group) -> bool:
        parent = self._leaves[job].parent
        while parent is not None and parent != group.job:
            parent = self._groups[parent].parent
        return parent is not None

    def _tell(self, error: str) -> None:
        """Put why the pipeline failed, and the end of the step's own log, into its log."""
        home, root = self._site.home, self._site.plan.root
        logs.note(home, root, error)
        for job in self._failed[:3]:
            if end := logs.without_notes(logs.tail(logs.log_file(home, job), _LOG_TAIL)):
                logs.note(home, root, f"The end of the log of step {self._leaves[job].path}:")
                logs.append(home, root, end)

    def _outputs(self, connection: sqlite3.Connection, group: Group) -> list[OutputRecord]:
        found = []
        for name, source in group.outputs.items():
            output = records.output(connection, source.job, source.output)
            if output is not None:
                found.append(OutputRecord(name, output.type, output.uri, output.asset))
        return found


def _did(status: JobStatus) -> str:
    return "failed" if status is JobStatus.FAILED else "did not run to its end"
