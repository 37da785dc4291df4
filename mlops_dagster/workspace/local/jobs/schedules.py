"""Schedules of the local workspace: declared in a project or kept here, carried out by Dagster."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import (
    Conflict,
    InvalidDocument,
    MlopsError,
    NotFound,
    Problem,
    Unsupported,
)
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
CREATE TABLE IF NOT EXISTS declared_schedules (
  source     TEXT NOT NULL,               -- the file that declares it
  name       TEXT NOT NULL,
  is_enabled INTEGER NOT NULL,            -- as it was switched since
  PRIMARY KEY (source, name)
) WITHOUT ROWID;
"""


_Entry = tuple[ScheduleRecord, "Schedule"]


@dataclass(frozen=True)
class _Entries:
    """What there is of schedules; a declared one comes before a created one of its name."""

    declared: dict[str, _Entry]
    created: dict[str, _Entry]
    problems: list[Problem]

    @property
    def by_name(self) -> dict[str, _Entry]:
        return {**self.created, **self.declared}


class LocalSchedules(Schedules):
    """``Schedules`` on this machine.

    Args:
        cloud: a project's ``.cloud/local``, whose ``schedules/*.yml`` declare schedules.
    """

    def __init__(self, state: State, jobs: Jobs, cloud: Path | None = None) -> None:
        self._state = state
        self._jobs = jobs
        self._cloud = cloud
        state.create(SCHEMA)

    def create(self, schedule: Schedule | Path | str) -> ScheduleRecord:
        from mlops_dagster.aml import schedule_of
        from mlops_dagster.aml.scheduled_job import scheduled_job
        from mlops_dagster.aml.timing import check_trigger

        schedule = schedule_of(schedule)
        check_trigger(schedule.trigger)
        if schedule.job is None:
            raise Unsupported(
                f"The schedule {schedule.name} runs {schedule.job_reference}, a job by its name.",
                remedy="Name the job's file as `create_job:` instead.",
            )
        entries = self._entries()
        _refuse_similar_name(schedule.name, entries.by_name)
        declared = entries.declared.get(schedule.name)
        if declared is not None:
            raise Conflict(
                f"The project declares the schedule {schedule.name} in {declared[1].source}.",
                remedy="Change that file, or choose another name.",
            )
        job = schedule.job.model_copy(update={"name": None})
        self._jobs.validate(scheduled_job(job, datetime.now(UTC)))
        with self._state.write() as connection:
            connection.execute(
                "INSERT INTO schedules (name, document, is_enabled, created_at)"
                " VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET document = excluded.document",
                (schedule.name, schedule.model_dump_json(), schedule.is_enabled, time.time()),
            )
        return self.get(schedule.name)

    def get(self, name: str) -> ScheduleRecord:
        return self._find(name)[0]

    def list(self) -> Sequence[ScheduleRecord]:
        found = self._entries().by_name
        return [found[name][0] for name in sorted(found)]

    def problems(self) -> Sequence[Problem]:
        return self._entries().problems

    def enable(self, name: str) -> ScheduleRecord:
        return self._set_enabled(name, is_enabled=True)

    def disable(self, name: str) -> ScheduleRecord:
        return self._set_enabled(name, is_enabled=False)

    def delete(self, name: str) -> None:
        with self._state.write() as connection:
            deleted = connection.execute("DELETE FROM schedules WHERE name = ?", (name,)).rowcount
        if deleted:
            return
        record, _ = self._find(name)
        raise Conflict(
            f"The project declares the schedule {name} in {record.source}.",
            remedy="Delete that file, or disable the schedule.",
        )

    def submit(self, name: str, at: datetime) -> JobRecord:
        from mlops_dagster.aml.scheduled_job import scheduled_job

        record, schedule = self._find(name)
        assert schedule.job is not None  # noqa: S101 - create and load_schedules take no other
        stem = name
        if record.is_declared and self._cloud is not None:
            # Projects that share this state may each declare a schedule of one name.
            stem = f"{self._cloud.absolute().parents[1].name}-{name}"
        stem = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:200] or "schedule"
        job = scheduled_job(schedule.job, at)
        return self._jobs.submit(
            job,
            name=f"{stem}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            tags={} if "schedule" in job.tags else {"schedule": name},
        )

    def _set_enabled(self, name: str, *, is_enabled: bool) -> ScheduleRecord:
        record, _ = self._find(name)
        with self._state.write() as connection:
            if record.is_declared:
                connection.execute(
                    "INSERT OR REPLACE INTO declared_schedules (source, name, is_enabled)"
                    " VALUES (?, ?, ?)",
                    (str(record.source), name, is_enabled),
                )
            else:
                connection.execute(
                    "UPDATE schedules SET is_enabled = ? WHERE name = ?", (is_enabled, name)
                )
        return self.get(name)

    def _find(self, name: str) -> _Entry:
        entries = self._entries()
        if name in entries.by_name:
            return entries.by_name[name]
        if entries.problems:
            raise InvalidDocument(entries.problems)
        raise NotFound("schedule", name, known=list(entries.by_name))

    def _entries(self) -> _Entries:
        """What there is; an entry that cannot be read stands in the way of no other."""
        with self._state.read() as connection:
            rows = connection.execute("SELECT * FROM schedules ORDER BY name").fetchall()
            switched = connection.execute("SELECT * FROM declared_schedules").fetchall()
        entries = _declared_entries(self._cloud, switched)
        for row in rows:
            name = row["name"]
            if name in entries.declared:
                entries.problems.append(
                    self._problem(
                        name,
                        f"{entries.declared[name][0].source} declares a schedule of this name, "
                        "which counts instead of the one that was created.",
                    )
                )
                continue
            try:
                entries.created[name] = _created_entry(row)
            except (ValueError, TypeError, ArithmeticError, MlopsError) as error:
                reason = " ".join(str(error).split())
                message = f"This schedule is kept, but cannot be read: {reason}"
                entries.problems.append(self._problem(name, message))
        return entries

    def _problem(self, name: str, message: str) -> Problem:
        remedy = f"Delete it: mlops schedule delete {name}"
        return Problem(self._state.home / "state.db", 0, f"schedules.{name}", message, remedy)


def _declared_entries(cloud: Path | None, switched: Sequence[sqlite3.Row]) -> _Entries:
    from mlops_dagster.aml import load_schedules

    if cloud is None:
        return _Entries({}, {}, [])
    schedules, problems = load_schedules(cloud.absolute() / "schedules")
    states = {(row["source"], row["name"]): bool(row["is_enabled"]) for row in switched}
    declared = {}
    for schedule in schedules:
        is_enabled = states.get((str(schedule.source), schedule.name))
        record = ScheduleRecord.from_schedule(schedule, is_enabled=is_enabled)
        declared[schedule.name] = (record, schedule)
    return _Entries(declared, {}, problems)


def _refuse_similar_name(name: str, others: Iterable[str]) -> None:
    """Dagster, which carries schedules out, cannot tell ``a-b`` and ``a_b`` apart."""
    from mlops_dagster.aml.names import identifier

    for other in others:
        if other != name and identifier(other) == identifier(name):
            raise Conflict(
                f"The schedule {name!r} has nearly the name of the schedule {other!r}:"
                " Dagster cannot tell them apart.",
                remedy=f"Choose another name, or remove the schedule {other!r}.",
            )


def _created_entry(row: sqlite3.Row) -> _Entry:
    from mlops_dagster.aml.assets import Schedule
    from mlops_dagster.aml.timing import check_trigger

    schedule = Schedule.model_validate_json(row["document"])
    check_trigger(schedule.trigger)
    record = ScheduleRecord.from_schedule(
        schedule,
        is_enabled=bool(row["is_enabled"]),
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
    )
    return record, schedule
