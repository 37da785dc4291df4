"""What waits to be run: mini batches cut a little ahead of the workers, and those to be tried again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlops_dagster.workspace.local.parallel.batches import MiniBatch, mini_batches
from mlops_dagster.workspace.local.parallel.journal import Journal
from mlops_dagster.workspace.local.parallel.plan import Plan
from mlops_dagster.workspace.local.parallel.reports import Reports

_CUT_AT_ONCE = 20
_MOST_AHEAD = 1_000
_MOST_FILES_AHEAD = 10_000


@dataclass(slots=True)
class Task:
    """A mini batch on its way, how often it was tried in vain, and the error of the first try."""

    batch: MiniBatch
    failures: int = 0
    error: str = ""


class TaskQueue:
    """The mini batches of a step that no earlier run has completed, in memory that does not grow."""

    def __init__(self, plan: Plan, journal: Journal, reports: Reports) -> None:
        self._plan = plan
        self._journal = journal
        self._reports = reports
        self._uncut = self._to_be_run()
        self._ahead: deque[Task] = deque()
        self._again: deque[Task] = deque()

    def __len__(self) -> int:
        return len(self._ahead) + len(self._again)

    def look_ahead(self) -> None:
        """Cut enough for every worker, and a little more each time: a small step soon knows its size."""
        files = self._ahead[-1].batch.items if self._ahead else None
        most = min(_MOST_AHEAD, _MOST_FILES_AHEAD // (files or 1))
        wanted = max(self._plan.workers, min(len(self._ahead) + _CUT_AT_ONCE, most))
        while len(self._ahead) < wanted and (task := next(self._uncut, None)):
            self._ahead.append(task)

    def take(self) -> Task | None:
        """The next mini batch; those that failed before come first. None when there is none."""
        if self._again:
            return self._again.popleft()
        if self._ahead:
            return self._ahead.popleft()
        return next(self._uncut, None)

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Take back mini batches that are to be run again."""
        self._again.extend(tasks)

    def _to_be_run(self) -> Iterator[Task]:
        count = 0
        with_rows = self._plan.append_row_to is not None
        for batch in mini_batches(self._plan):
            count = batch.index + 1
            self._reports.known = count
            if outcome := self._journal.completed(batch, with_rows=with_rows):
                self._reports.resumed += 1
                self._reports.ended += 1
                self._reports.items += outcome.total
            else:
                yield Task(batch)
        self._reports.total = count
