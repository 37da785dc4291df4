"""The leaves that one runner has under way: each in a thread, with its nodes, until it ends.

A step waits for its node in the same queue as every other job. Meanwhile, and while commands run,
``serve`` looks every now and then whether somebody wants a job to end or a node has become free.
"""

from __future__ import annotations

import threading
import time
import traceback

from mlops_dagster.errors import MlopsError, WorkspaceUnavailable
from mlops_dagster.system.processes import Cancellation
from mlops_dagster.workspace.local.ground.plan import Leaf
from mlops_dagster.workspace.local.queue import queue, reuse
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.logs import note
from mlops_dagster.workspace.local.running.context import Ended, Site
from mlops_dagster.workspace.local.running.execution import concrete, execute
from mlops_dagster.workspace.ports import JobStatus

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5


class Crew:
    """Carries out leaves of one plan, side by side."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._cancellations: dict[str, Cancellation] = {}
        self._waiting: dict[str, tuple[Leaf, Ended]] = {}
        self._canceled: set[str] = set()
        self._parents = {group.job: group.parent for group in site.plan.groups}
        self._parents |= {leaf.job: leaf.parent for leaf in site.plan.leaves}
        self._woken = threading.Event()

    def start(self, leaf: Leaf, ended: Ended) -> None:
        """Queue a leaf whose upstreams have completed; its name is put to ``ended`` at its end."""
        if self._taken_over(leaf) or (leaf.reuse and self._reused(leaf)):
            ended.put(leaf.job)
            return
        with self._lock:
            self._parents[leaf.job] = leaf.parent  # a sweep's trials are not in the plan
            self._waiting[leaf.job] = (leaf, ended)
        with self._site.state.write() as connection:
            records.moved(
                connection,
                leaf.job,
                JobStatus.QUEUED,
                only_from=[JobStatus.NOT_STARTED],
                queued_at=time.time(),
            )
            starts = queue.grant(connection, self._site.home)
        queue.start(self._site.state, starts)
        self._begin_granted()

    def begin(self, leaf: Leaf, ended: Ended) -> None:
        """Run a leaf that has its nodes already."""
        cancellation = Cancellation()
        with self._lock:
            self._cancellations[leaf.job] = cancellation
            if leaf.job in self._canceled:
                cancellation.request()

        def work() -> None:
            try:
                if leaf.trials is None:
                    execute(self._site, leaf, cancellation)
                else:
                    from mlops_dagster.workspace.local.running.sweep import conduct

                    conduct(self._site, self, leaf, cancellation)
            finally:
                with self._lock:
                    del self._cancellations[leaf.job]
                    self._idle.notify_all()
                ended.put(leaf.job)
                self._woken.set()

        threading.Thread(target=work, name=leaf.job).start()

    def is_canceled(self, job: str) -> bool:
        """Whether somebody wants this job, or a pipeline around it, to end."""
        with self._lock:
            return job in self._canceled

    def cancel(self, jobs: set[str], reason: str = "It was canceled.") -> None:
        """End these, whether they run or wait."""
        with self._lock:
            self._canceled |= jobs
            running = [item for job, item in self._cancellations.items() if job in jobs]
            waiting = [job for job in self._waiting if job in jobs]
        for cancellation in running:
            cancellation.request(reason)
        for job in waiting:
            with self._site.state.write() as connection:
                records.end(connection, job, JobStatus.CANCELED, error=reason)
        self._begin_granted()

    def cancel_all(self, reason: str) -> None:
        """End whatever runs or waits, and wait until nothing runs any more."""
        self.cancel({leaf.job for leaf in self._site.plan.leaves}, reason)
        with self._idle:
            self._idle.wait_for(lambda: not self._cancellations)

    def interrupt(self) -> None:
        """The runner is to end: so does everything that it runs."""
        self._site.interrupted = True
        self.cancel({leaf.job for leaf in self._site.plan.leaves})

    def serve(self, work: threading.Thread) -> None:
        """Keep watch until ``work`` is done."""
        pause = _SHORTEST_PAUSE
        while work.is_alive():
            try:
                self._look()
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

    def _look(self) -> None:
        plan = self._site.plan
        with self._site.state.read() as connection:
            rows = connection.execute(
                "SELECT name FROM jobs WHERE root = ? AND cancel = 1", (plan.root,)
            ).fetchall()
        asked = {row["name"] for row in rows}
        if asked:
            with self._lock:
                parents = dict(self._parents)
            wanted = {job for job in parents if asked & set(_upwards(job, parents))}
            if new := wanted - self._canceled:
                self.cancel(new)
        with self._lock:
            anybody = bool(self._waiting)
        if anybody:
            queue.advance(self._site.state)
            self._begin_granted()

    def _begin_granted(self) -> None:
        with self._lock:
            names = list(self._waiting)
        if not names:
            return
        with self._site.state.read() as connection:
            rows = connection.execute(
                "SELECT name, status FROM jobs WHERE root = ? AND status IN (?, ?, ?)",
                (
                    self._site.plan.root,
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
            leaf, ended = waited
            if row["status"] == JobStatus.CANCELED:
                ended.put(leaf.job)
            else:
                self.begin(leaf, ended)

    def _taken_over(self, leaf: Leaf) -> bool:
        """Whether what completed in the pipeline that this one resumes stands in for this one."""
        if leaf.takes_over is None:
            return False
        with self._site.state.read() as connection:
            done = reuse.of(connection, leaf.takes_over, self._site.storage)
        if done is None:
            note(self._site.home, leaf.job, f"The outputs of {leaf.takes_over} are gone: it runs.")
            return False
        self._stand_in(leaf, done, reuse.said_of_resumed(done[0]))
        return True

    def _reused(self, leaf: Leaf) -> bool:
        """Whether a job that was done before stands in for this one."""
        site = self._site
        try:
            found = reuse.fingerprint(leaf, concrete(site, leaf), site.storage)
        except (MlopsError, OSError):  # an input is gone; running the leaf will say which
            return False
        with site.state.read() as connection:
            done = reuse.find(connection, found, site.storage)
        if done is None:
            return False
        self._stand_in(leaf, done, reuse.said(done[0]))
        return True

    def _stand_in(self, leaf: Leaf, done: reuse.Done, said: str) -> None:
        job, outputs = done
        note(self._site.home, leaf.job, said)
        self._site.end(leaf.job, JobStatus.COMPLETED, reused_from=job, outputs=outputs)


def _upwards(job: str | None, parents: dict[str, str | None]) -> list[str]:
    found = []
    while job is not None:
        found.append(job)
        job = parents.get(job)
    return found
