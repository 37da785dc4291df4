"""Schedules of the local workspace: kept here, and carried out by Dagster."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlops_dagster.errors import NotFound, Unsupported
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.ports import JobRecord, Jobs, ScheduleRecord, Schedules

if TYPE_CHECKING:
    from mlops_dagster.aml.assets import Schedule

SCHEMA = """
CREATE TABLE IF NOT EXISTS schedules (
  name       TEXT PRIMARY KEY,
  document   TEXT NOT NULL,               -- the schedule as JSON
  is_enabled INTEGER NOT NULL DEFAULT 1,
  created_at REAL NOT NULL
) WITHOUT ROWID;
"""


class LocalSchedules(Schedules):
    """``Schedules`` on this machine."""

    def __init__(self, state: State, jobs: Jobs) -> None:
        self._state = state
        self._jobs = jobs
        state.create(SCHEMA)

    def create(self, schedule: Schedule) -> ScheduleRecord:
        from mlops_dagster.aml.timing import check_trigger

        check_trigger(schedule.trigger)
        if schedule.job is None:
            raise Unsupported(
                f"The schedule {schedule.name} runs {schedule.job_reference}, a job by its name.",
                remedy="Name the job's file as `create_job:` instead.",
            )
        self._jobs.validate(schedule.job.model_copy(update={"name": None}))
        with self._state.write() as connection:
            connection.execute(
                "INSERT INTO schedules (name, document, created_at) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET document = excluded.document",
                (schedule.name, schedule.model_dump_json(), time.time()),
            )
        return self.get(schedule.name)

    def get(self, name: str) -> ScheduleRecord:
        with self._state.read() as connection:
            return _record(*_found(connection, name))

    def list(self) -> Sequence[ScheduleRecord]:
        with self._state.read() as connection:
            rows = connection.execute("SELECT * FROM schedules ORDER BY name").fetchall()
        return [_record(row, _schedule(row)) for row in rows]

    def enable(self, name: str) -> ScheduleRecord:
        return self._set_enabled(name, enabled=True)

    def disable(self, name: str) -> ScheduleRecord:
        return self._set_enabled(name, enabled=False)

    def delete(self, name: str) -> None:
        with self._state.write() as connection:
            _found(connection, name)
            connection.execute("DELETE FROM schedules WHERE name = ?", (name,))

    def submit(self, name: str, at: datetime) -> JobRecord:
        with self._state.read() as connection:
            _, schedule = _found(connection, name)
        assert schedule.job is not None  # noqa: S101 - create takes no other
        stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:200] or "schedule"
        return self._jobs.submit(
            schedule.job,
            name=f"{stem}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            tags={"schedule": name},
        )

    def _set_enabled(self, name: str, *, enabled: bool) -> ScheduleRecord:
        with self._state.write() as connection:
            _found(connection, name)
            connection.execute(
                "UPDATE schedules SET is_enabled = ? WHERE name = ?", (enabled, name)
            )
        return self.get(name)


def _found(connection: sqlite3.Connection, name: str) -> tuple[sqlite3.Row, Schedule]:
    row = connection.execute("SELECT * FROM schedules WHERE name = ?", (name,)).fetchone()
    if row is None:
        known = connection.execute("SELECT name FROM schedules").fetchall()
        raise NotFound("schedule", name, known=[found["name"] for found in known])
    return row, _schedule(row)


def _schedule(row: sqlite3.Row) -> Schedule:
    from mlops_dagster.aml.assets import Schedule

    return Schedule.model_validate_json(row["document"])


def _record(row: sqlite3.Row, schedule: Schedule) -> ScheduleRecord:
    return ScheduleRecord(
        name=row["name"],
        trigger=schedule.trigger,
        is_enabled=bool(row["is_enabled"]),
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
        display_name=schedule.display_name or "",
        description=schedule.description,
        tags={name: text or "" for name, text in schedule.tags.items()},
        source=schedule.source,
    )
