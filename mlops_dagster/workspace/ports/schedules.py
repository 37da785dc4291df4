"""Schedules: jobs that run again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlops_dagster.aml.assets import Cron, Recurrence, Schedule
    from mlops_dagster.errors import Problem
    from mlops_dagster.workspace.ports.jobs import JobRecord


@dataclass(frozen=True)
class ScheduleRecord:
    """A job that runs again and again.

    Attributes:
        trigger: when; see ``aml.timing`` for what it means.
        created_at: when it was first created, from which a recurrence without a start goes on.
        source: its file.
        is_declared: whether a file of the project's ``.cloud/<workspace>/schedules`` makes it,
            and not ``create``.
    """

    name: str
    trigger: Cron | Recurrence
    is_enabled: bool
    created_at: datetime
    display_name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None
    is_declared: bool = False

    @classmethod
    def from_schedule(
        cls,
        schedule: Schedule,
        *,
        is_enabled: bool | None = None,
        created_at: datetime | None = None,
    ) -> ScheduleRecord:
        """The record of a schedule.

        Args:
            is_enabled: set by ``enable`` or ``disable`` since its file was read; None for what the
                file says.
            created_at: None for a schedule that the project declares. It counts from Monday, 1
                January 2024, so that every machine finds the same times in the file.
        """
        from mlops_dagster.aml.timing import zone_of

        return cls(
            name=schedule.name,
            trigger=schedule.trigger,
            is_enabled=schedule.is_enabled if is_enabled is None else is_enabled,
            created_at=created_at or datetime(2024, 1, 1, tzinfo=zone_of(schedule.trigger)),
            display_name=schedule.display_name or "",
            description=schedule.description,
            tags={name: text or "" for name, text in schedule.tags.items()},
            source=schedule.source,
            is_declared=created_at is None,
        )


class Schedules(Protocol):
    """Schedules of a workspace: those that were created, and those that the project declares."""

    def create(self, schedule: Schedule | Path | str) -> ScheduleRecord:
        """Keep a schedule, given as its YAML file or as what ``load_schedule`` returned for one; one of that name gets its content, and stays enabled or disabled.

        Raises Conflict where the project declares one of that name, and where another's name
        differs only in characters that are no letters and digits. Raises as ``Jobs.validate`` does
        for its job, InvalidRequest for a time that is none, Unsupported for a job that is only
        named.
        """

    def get(self, name: str) -> ScheduleRecord:
        """Raises NotFound, InvalidDocument where it may be one of those that cannot be read."""

    def list(self) -> Sequence[ScheduleRecord]:
        """Every schedule that can be read, by name."""

    def problems(self) -> Sequence[Problem]:
        """What keeps schedules out of ``list``: wrong files, and entries that cannot be read."""

    def enable(self, name: str) -> ScheduleRecord:
        """Idempotent. Raises NotFound."""

    def disable(self, name: str) -> ScheduleRecord:
        """Idempotent. Raises NotFound."""

    def delete(self, name: str) -> None:
        """Remove it; its jobs stay. Raises NotFound, Conflict where the project declares it."""

    def submit(self, name: str, at: datetime) -> JobRecord:
        """Start the job of one moment, once, whether the schedule is enabled and due or not.

        Raises NotFound, and as ``Jobs.submit`` does.
        """
