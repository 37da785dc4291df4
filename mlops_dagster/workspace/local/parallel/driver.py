"""The driver of a parallel step: one loop that assigns work, reads answers and watches time limits.

A mini batch is *failed* when its last try raised, timed out or killed its worker, or when ``run()``
returned fewer elements than it was given items and ``error_threshold`` counts items. Only the first
kinds are tried again; what was returned for a part of the items is kept, and the missing items count
as failed. An ``error_threshold`` of -1, the default, counts no items: a script may return nothing.

Sources: ``mini_batch_error_threshold``, ``error_threshold`` and ``retry_settings`` in "CLI (v2)
parallel job YAML schema" (learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel);
``run_max_try`` in "Troubleshooting the ParallelRunStep" (.../how-to-debug-parallel-run-step).
"""

from __future__ import annotations

import selectors
import signal
import time
from itertools import count
from typing import Any, TextIO

import psutil

from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace.local.parallel.journal import Journal, Outcome
from mlops_dagster.workspace.local.parallel.plan import Plan
from mlops_dagster.workspace.local.parallel.process import Lifeline, Worker
from mlops_dagster.workspace.local.parallel.reports import Reports
from mlops_dagster.workspace.local.parallel.task_queue import Task, TaskQueue
from mlops_dagster.workspace.local.parallel.thresholds import (
    StepFailed,
    check_counts,
    check_percent,
)
from mlops_dagster.workspace.local.parallel.worker.framing import BrokenFrame

_TICK_SECONDS = 0.25
# Below this a worker gets its next mini batch before it has answered for the last one.
_SHORT_RUN_SECONDS = 0.05
_MEMORY_CHECK_SECONDS = 0.5
# For what runs at a worker's exit: buffers to flush, background threads to finish.
_EXIT_SECONDS = 5
_FOREIGN_WRITE = "something else wrote into the worker's connection"


def run_step(plan: Plan, out: TextIO) -> None:
    """Run a parallel step to its end; when this returns or raises, no worker is left.

    Raises:
        StepFailed: a threshold was exceeded, a time-out of the whole step passed, or no worker
            could be started.
        InvalidRequest: the input cannot be cut as asked.
        WorkspaceUnavailable: logs or progress cannot be written.
    """
    journal = Journal(plan.state)
    try:
        reports = Reports(plan.logs, out)
        try:
            _Driver(plan, journal, reports).run()
            if plan.append_row_to is not None:
                journal.deliver(plan.append_row_to)
        except MlopsError as error:
            reports.finish(f"Failed: {error.message}")
            raise
        except BaseException:
            reports.finish("Ended before it was done.")
            raise
        reports.finish("Completed.")
    finally:
        journal.close()


class _Driver:
    def __init__(self, plan: Plan, journal: Journal, reports: Reports) -> None:
        self._plan = plan
        self._journal = journal
        self._reports = reports
        self._queue = TaskQueue(plan, journal, reports)
        self._workers: dict[int, Worker] = {}
        self._names = count()
        self._selector = selectors.DefaultSelector()
        self._unfit = 0
        self._run_seconds = 1.0
        self._last_end = time.monotonic()
        self._memory_checked = 0.0
        self._memory_limit = plan.worker_memory_limit or int(
            psutil.virtual_memory().total * 0.9 / plan.workers
        )

    def run(self) -> None:
        """Feed, listen and watch until every mini batch has ended."""
        plan = self._plan
        self._lifeline = Lifeline()
        try:
            self._reports.note(
                f"{plan.entry_script} in up to {plan.workers} worker processes on {plan.input.path}"
            )
            while self._feed():
                self._listen()
                self._watch()
                self._reports.progress()
            if self._reports.total == 0:
                self._reports.note(f"The input {plan.input.path} is empty: nothing was run.")
            check_percent(self._plan, self._reports)
            self._shut_down_all()
        finally:
            for worker in list(self._workers.values()):
                self._end(worker)
            self._lifeline.close()
            self._selector.close()

    def _feed(self) -> bool:
        """Hand out work and start workers for it; False when all is done."""
        for worker in list(self._workers.values()):
            while self._has_room(worker) and (task := self._queue.take()):
                self._assign(worker, task)
        self._queue.look_ahead()
        waiting = len(self._queue)
        coming = sum(worker.phase == "starting" for worker in self._workers.values())
        free = set(range(self._plan.workers)) - self._workers.keys()
        for slot in sorted(free)[: max(waiting - coming, 0)]:
            self._start(slot)
        return bool(waiting or any(worker.tasks for worker in self._workers.values()))

    def _has_room(self, worker: Worker) -> bool:
        if worker.phase in ("starting", "ending", "leaving") or worker.replace:
            return False
        return len(worker.tasks) < (2 if self._run_seconds < _SHORT_RUN_SECONDS else 1)

    def _assign(self, worker: Worker, task: Task) -> None:
        worker.tasks.append(task)
        if len(worker.tasks) == 1:
            self._await_load(worker)
        batch = task.batch
        worker.send({"type": "run", "batch": batch.index, **batch.request})
        self._register(worker)

    def _await_load(self, worker: Worker) -> None:
        worker.phase = "loading"
        worker.deadline = time.monotonic() + self._plan.task_overhead_timeout

    def _start(self, slot: int) -> None:
        name = f"process{next(self._names):03d}"
        keep = self._plan.append_row_to is not None
        try:
            worker = Worker(
                self._plan, slot, name, self._journal.spool(name) if keep else None, self._lifeline
            )
        except OSError as error:
            reason = f"{self._plan.interpreter} cannot be started: {error.strerror}"
            self._reports.error("0", name, "start", reason)
            self._count_unfit(reason)
            return
        self._workers[slot] = worker
        self._register(worker)

    def _register(self, worker: Worker) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.has_unsent else 0)
        known = self._selector.get_map().get(worker.connection)
        if known is None:
            self._selector.register(worker.connection, wanted, worker)
        elif known.events != wanted:
            self._selector.modify(worker.connection, wanted, worker)

    def _listen(self) -> None:
        for key, events in self._selector.select(self._select_timeout()):
            worker: Worker = key.data
            if not self._is_current(worker):
                continue
            if events & selectors.EVENT_WRITE:
                worker.send_more()
                self._register(worker)
            if events & selectors.EVENT_READ:
                self._receive_from(worker)

    def _select_timeout(self) -> float:
        now = time.monotonic()
        nearest = min((worker.deadline - now for worker in self._busy()), default=_TICK_SECONDS)
        return max(0.0, min(nearest, _TICK_SECONDS))

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.phase != "idle"]

    def _receive_from(self, worker: Worker) -> None:
        try:
            messages = worker.receive()
        except BrokenFrame:
            self._worker_lost(worker, _FOREIGN_WRITE)
            return
        if messages is None:
            self._worker_lost(worker, None)
            return
        for message in messages:
            if self._is_current(worker):
                self._handle(worker, message)

    def _is_current(self, worker: Worker) -> bool:
        return self._workers.get(worker.slot) is worker

    def _handle(self, worker: Worker, message: dict[str, Any]) -> None:
        kind = message["type"]
        if "batch" in message and not worker.is_at(message["batch"]):
            self._worker_lost(worker, _FOREIGN_WRITE)
        elif kind == "running":
            worker.phase = "running"
            worker.deadline = time.monotonic() + self._plan.timeout
        elif kind in ("done", "failed"):
            self._handle_result(worker, message)
        elif kind == "ready":
            self._unfit = 0
            self._last_end = time.monotonic()
            worker.phase = "idle"
        elif kind == "unfit":
            self._reports.error(
                worker.node, worker.name, "init", message["error"], message["trace"]
            )
            self._worker_lost(worker, f"init() failed: {message['error']}")
        elif kind == "ended":
            if "error" in message:
                self._reports.error(
                    worker.node, worker.name, "shutdown", message["error"], message["trace"]
                )
            worker.phase = "leaving"
            worker.deadline = time.monotonic() + _EXIT_SECONDS

    def _handle_result(self, worker: Worker, answer: dict[str, Any]) -> None:
        task = worker.tasks.popleft()
        if worker.tasks:
            self._await_load(worker)
        else:
            worker.phase = "idle"
        if answer["type"] == "done":
            self._done(worker, task, answer)
        else:
            self._failed(worker, task, answer)
            if answer["fresh"]:
                self._queue.put_back(worker.tasks)
                self._end(worker)
                return
        if worker.replace and not worker.tasks:
            self._shut_down(worker)

    def _done(self, worker: Worker, task: Task, answer: dict[str, Any]) -> None:
        spool = worker.spool.name if worker.spool is not None and answer["length"] else ""
        returned = answer["returned"]
        if self._plan.error_threshold < 0:  # items that are missing do not count
            returned = max(returned, answer["total"])
        outcome = Outcome(answer["total"], returned, spool, answer["offset"], answer["length"])
        self._journal.ended(task.batch, outcome)
        self._reports.tried(
            task.batch.index,
            task.failures + 1,
            worker.name,
            "RUN_DONE",
            answer=answer,
            failed=outcome.failed,
        )
        self._run_seconds += 0.2 * (answer["run_seconds"] - self._run_seconds)
        if outcome.failed:
            self._reports.error(
                worker.node,
                worker.name,
                f"mini batch {task.batch.index}",
                f"run() returned {outcome.returned} elements for {outcome.total} items",
            )
        self._count(outcome.total, outcome.failed)

    def _failed(self, worker: Worker, task: Task, answer: dict[str, Any]) -> None:
        """A try that did not come to an end; the mini batch is tried again, or has failed."""
        task.failures += 1
        task.error = task.error or answer["error"]
        items = task.batch.items or answer.get("total") or 1
        self._reports.tried(
            task.batch.index,
            task.failures,
            worker.name,
            f"{answer['stage'].upper()}_{answer.get('status', 'EXCEPTION')}",
            answer={"total": items} | answer | {"total": items},
            failed=items,
        )
        self._reports.error(
            worker.node,
            worker.name,
            f"mini batch {task.batch.index}, try {task.failures}",
            answer["error"],
            answer.get("trace", ""),
        )
        if task.failures <= self._plan.max_retries:
            self._queue.put_back([task])
            self._last_end = time.monotonic()
        else:
            # Later tries may fail of what the first one left.
            self._reports.last_error = task.error
            self._count(items, items)

    def _count(self, items: int, failed: int) -> None:
        """A mini batch has ended; ends the step where that is one failure too many."""
        reports = self._reports
        self._last_end = time.monotonic()
        reports.ended += 1
        reports.items += items
        reports.failed_items += failed
        reports.failed += bool(failed)
        check_counts(self._plan, reports)

    def _worker_lost(
        self, worker: Worker, reason: str | None, *, status: str = "EXCEPTION"
    ) -> None:
        """A worker is gone or has to go; what it was at is tried again, what waited is not held to it."""
        phase, tasks = worker.phase, list(worker.tasks)
        ending = self._end(worker)
        reason = reason or f"the worker process {_ended_as(ending)}"
        if phase == "leaving":
            return
        if phase == "ending":
            self._reports.error(worker.node, worker.name, "shutdown", reason)
            return
        if phase == "starting":
            self._init_failed(worker, reason)
            return
        self._queue.put_back(tasks[1:])
        if tasks:
            stage = "load" if phase == "loading" else "run"
            self._failed(worker, tasks[0], {"stage": stage, "status": status, "error": reason})

    def _init_failed(self, worker: Worker, reason: str) -> None:
        """A worker was lost before its init() was done."""
        if not reason.startswith("init()"):
            log = self._plan.logs / "user" / "stderr" / worker.node / f"{worker.name}.stderr.txt"
            reason = f"{reason} before init() was done; see {log}"
            self._reports.error(worker.node, worker.name, "init", reason)
        self._count_unfit(reason)

    def _count_unfit(self, reason: str) -> None:
        self._unfit += 1
        if self._unfit > self._plan.max_retries:
            raise StepFailed(f"No worker could be made ready in {self._unfit} tries: {reason}")

    def _end(self, worker: Worker) -> int:
        self._selector.unregister(worker.connection)
        del self._workers[worker.slot]
        return worker.end()

    def _watch(self) -> None:
        """Clocks and pulses: what no message tells."""
        now = time.monotonic()
        for worker in self._busy():
            if now >= worker.deadline:
                # What it may have said in the meantime comes first.
                self._receive_from(worker)
                if self._is_current(worker) and now >= worker.deadline:
                    self._timed_out(worker)
        for worker in list(self._workers.values()):
            # A forked child may hold its connection open.
            if worker.is_dead and self._is_current(worker):
                self._drain(worker)
        if now - self._memory_checked > _MEMORY_CHECK_SECONDS:
            self._memory_checked = now
            self._check_memory()
        limit = self._plan.progress_update_timeout
        if limit is not None and now - self._last_end > limit:
            raise StepFailed(f"No mini batch ended in {limit:g} s (progress_update_timeout).")

    def _drain(self, worker: Worker) -> None:
        while self._is_current(worker):
            try:
                messages = worker.receive()
            except BrokenFrame:
                messages = None
            for message in messages or ():
                if self._is_current(worker):
                    self._handle(worker, message)
            if not messages and self._is_current(worker):
                self._worker_lost(worker, None)

    def _timed_out(self, worker: Worker) -> None:
        plan = self._plan
        if worker.phase == "starting":
            limit = f"{plan.first_task_creation_timeout:g} s (first_task_creation_timeout)"
            self._worker_lost(worker, f"init() took more than {limit}")
        elif worker.phase == "loading":
            limit = f"{plan.task_overhead_timeout:g} s (task_overhead_timeout)"
            self._worker_lost(worker, f"loading took more than {limit}", status="TIMEOUT")
        elif worker.phase == "running":
            limit = f"{plan.timeout:g} s (retry_settings.timeout)"
            self._worker_lost(worker, f"run() took more than {limit}", status="TIMEOUT")
        else:
            self._worker_lost(worker, f"shutdown() took more than {plan.timeout:g} s")

    def _check_memory(self) -> None:
        for worker in list(self._workers.values()):
            watched = worker.phase in ("idle", "loading", "running") and not worker.replace
            held = worker.memory() if watched else 0
            if held > self._memory_limit:
                worker.replace = True
                self._reports.note(
                    f"{worker.name} holds {held >> 20} MB, more than {self._memory_limit >> 20} MB: "
                    "it is replaced after its mini batch."
                )
                if worker.phase == "idle":
                    self._shut_down(worker)

    def _shut_down(self, worker: Worker) -> None:
        """Let a worker call its shutdown(); what it was given is done."""
        if worker.phase == "starting":
            self._end(worker)
        elif worker.phase == "idle":
            worker.phase = "ending"
            worker.deadline = time.monotonic() + self._plan.timeout
            worker.send({"type": "end"})
            self._register(worker)

    def _shut_down_all(self) -> None:
        self._last_end = float("inf")
        for worker in list(self._workers.values()):
            self._shut_down(worker)
        while self._workers:
            self._listen()
            self._watch()


def _ended_as(status: int) -> str:
    if status >= 0:
        return f"ended by itself with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
