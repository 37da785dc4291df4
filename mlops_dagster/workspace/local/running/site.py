"""What a runner works with: the home's state, its storage, its snapshots, and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_dagster.workspace.local.jobs import queue, records
from mlops_dagster.workspace.local.planning.plan import Plan
from mlops_dagster.workspace.local.planning.snapshot import Snapshots
from mlops_dagster.workspace.local.state import State
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus, OutputRecord


@dataclass
class Site:
    """The workplace of one runner.

    Attributes:
        interrupted: whether the runner itself was told to end.
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
        """Bring a job into a terminal state and hand its nodes on."""
        with self.state.write() as connection:
            records.end(
                connection, job, status, error=error, reused_from=reused_from, outputs=outputs
            )
            starts = queue.grant(connection, self.home)
        queue.start(self.state, starts)
