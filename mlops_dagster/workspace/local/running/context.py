"""What a run works with: the plan, and the state, storage and snapshots of the home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from mlops_dagster.workspace.local.ground.plan import Plan
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.queue import queue
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.storage.snapshots import Snapshots
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

EndedJobs = SimpleQueue[str]
"""A queue that takes the name of each job that has ended."""


@dataclass
class RunContext:
    """What the run of one submitted job works with.

    Attributes:
        interrupted: whether the runner itself was asked to end.
    """

    state: State
    plan: Plan
    storage: Storage = field(init=False)
    snapshots: Snapshots = field(init=False)
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.storage = Storage(self.state)
        self.snapshots = Snapshots(self.state)

    @property
    def home(self) -> Path:
        """The state folder."""
        return self.state.home

    def end(
        self,
        job: str,
        status: JobStatus,
        *,
        error: str | None = None,
        reused_from: str | None = None,
        outputs: Sequence[OutputRecord] = (),
    ) -> None:
        """Bring a job into a terminal state and give its nodes to those that wait."""
        with self.state.write() as connection:
            records.end(
                connection, job, status, error=error, reused_from=reused_from, outputs=outputs
            )
            starts = queue.grant(connection, self.home)
        queue.start(self.state, starts)
