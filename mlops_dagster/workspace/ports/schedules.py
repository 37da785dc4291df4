"""Schedules: jobs that run again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlops_dagster.aml.assets import Cron, Recurrence, Schedule
    from mlops_dagster.workspace.ports.jobs import JobRecord


@dataclass(frozen=True)
class ScheduleRecord:
    """A job that runs again and again.

    Attributes:
        trigger: when; see ``aml.timing`` for what it means.
        created_at: when it was first created, from which a recurrence without a start goes on.
        source: its file.
    """

    name: str
    trigger: Cron | Recurrence
    is_enabled: bool
    created_at: datetime
    display_name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None


class Schedules(Protocol):
    """Schedules of a workspace."""

    def create(self, schedule: Schedule) -> ScheduleRecord:
        """Keep a schedule; one of that name gets its content, and stays enabled or disabled.

        Raises as ``Jobs.validate`` does for its job, InvalidRequest for a time that is none,
        Unsupported for a job that is only named.
        """

    def get(self, name: str) -> ScheduleRecord:
        """Raises NotFound."""

    def list(self) -> Sequence[ScheduleRecord]:
        """All schedules, by name."""

    def enable(self, name: str) -> ScheduleRecord:
        """Idempotent. Raises NotFound."""

    def disable(self, name: str) -> ScheduleRecord:
        """Idempotent. Raises NotFound."""

    def delete(self, name: str) -> None:
        """Remove it; its jobs stay. Raises NotFound."""

    def submit(self, name: str, at: datetime) -> JobRecord:
        """Start the job of one moment, once, whether the schedule is enabled and due or not.

        Raises NotFound, and as ``Jobs.submit`` does.
        """
