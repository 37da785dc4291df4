"""The workspace's schedules in Dagster: a tick is a job, once."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlops_dagster.aml import load_schedule
from mlops_dagster.defs.schedules import dagster_names
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.workspace.ports import JobRecord, JobStatus

from .conftest import Tiny, log_lines

AT = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)
SCHEDULE = """\
name: every-other-day
trigger:
  type: recurrence
  frequency: day
  interval: 2
  start_time: "2026-01-01T03:00:00"
  time_zone: W. Europe Standard Time
create_job:
  type: pipeline
  settings: {default_compute: azureml:cpu}
  jobs:
    say:
      type: command
      environment: azureml:any@latest
      command: echo hello; COMMAND
"""


@pytest.fixture
def scheduled(tiny: Tiny) -> Tiny:
    create(tiny, "true")
    return tiny


def create(tiny: Tiny, command: str) -> None:
    file = tiny.write("schedules/it.yml", SCHEDULE.replace("COMMAND", command))
    tiny.workspace.schedules.create(load_schedule(file))


def definition(tiny: Tiny) -> dg.ScheduleDefinition:
    repository = tiny.definitions().get_repository_def()
    return repository.get_schedule_def("azure_ml_every_other_day_schedule")


def tick(tiny: Tiny, at: datetime) -> Any:
    context = dg.build_schedule_context(
        instance=tiny.instance,
        scheduled_execution_time=at,
        resources={"workspace": WorkspaceResource(folder=str(tiny.folder))},
    )
    return definition(tiny).evaluate_tick(context)


def run(tiny: Tiny, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    job = tiny.definitions().resolve_job_def("azure_ml_every_other_day")
    return job.execute_in_process(
        run_config=request.run_config, instance=tiny.instance, raise_on_error=False
    )


def test_a_schedule_of_the_project_is_one_of_its_code_location(scheduled: Tiny) -> None:
    found = definition(scheduled)
    assert (found.cron_schedule, found.execution_timezone) == ("0 3 * * *", "Europe/Berlin")
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING


def test_loading_a_project_makes_no_state(
    scheduled: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "elsewhere"))
    names = {found.name for found in scheduled.definitions().schedules or ()}
    assert "azure_ml_every_other_day_schedule" not in names
    assert not (tmp_path / "elsewhere").exists()


def test_a_tick_runs_its_job_once_however_often_it_comes(scheduled: Tiny) -> None:
    (request,) = tick(scheduled, AT).run_requests
    assert run(scheduled, request).success
    assert run(scheduled, request).success
    (job,) = scheduled.workspace.jobs.list()
    assert (job.name, job.status) == ("every-other-day-20260131T020000Z", JobStatus.COMPLETED)


def test_a_failed_job_fails_its_run_and_says_why(tiny: Tiny) -> None:
    create(tiny, "echo no luck; exit 3")
    (request,) = tick(tiny, AT).run_requests
    result = run(tiny, request)
    assert not result.success
    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.user_failure_data
    assert error is not None
    assert "no luck" in (error.description or "")


def test_what_is_not_due_disabled_or_deleted_is_skipped(scheduled: Tiny) -> None:
    def skipped(at: datetime) -> str:
        answer = tick(scheduled, at)
        assert answer.run_requests == []
        return str(answer.skip_message)

    assert "not due" in skipped(AT.replace(day=30))
    loaded = definition(scheduled)
    scheduled.workspace.schedules.disable("every-other-day")
    assert "disabled" in skipped(AT)
    scheduled.workspace.schedules.delete("every-other-day")
    context = dg.build_schedule_context(
        scheduled_execution_time=AT,
        resources={"workspace": WorkspaceResource(folder=str(scheduled.folder))},
    )
    assert "deleted" in str(loaded.evaluate_tick(context).skip_message)


def test_a_declared_schedule_is_one_of_its_code_location_before_there_is_any_state(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "elsewhere"))
    tiny.write(".cloud/local/schedules/it.yml", SCHEDULE.replace("COMMAND", "true"))
    assert definition(tiny).cron_schedule == "0 3 * * *"
    assert not (tmp_path / "elsewhere").exists()
    (request,) = tick(tiny, AT).run_requests
    assert run(tiny, request).success


@pytest.mark.slow
def test_nothing_that_is_wrong_with_one_schedule_keeps_a_location_from_loading(
    tiny: Tiny, mlops_home: Path
) -> None:
    def create_as(name: str, *, created: bool = True) -> None:
        text = SCHEDULE.replace("COMMAND", "true").replace("every-other-day", name)
        folder = "schedules" if created else ".cloud/local/schedules"
        file = tiny.write(f"{folder}/{name}.yml", text)
        if created:
            tiny.workspace.schedules.create(load_schedule(file))

    for name in ("a-b", "a-c", "bad-cron", "broken"):
        create_as(name)
    create_as("declared", created=False)
    tiny.write(".cloud/local/schedules/wrong.yml", "name: wrong\ntrigger: {type: cron}\n")
    cron = """'{"type": "cron", "expression": "61 2 * * *", "time_zone": "UTC"}'"""
    with closing(sqlite3.connect(mlops_home / "state.db")) as connection:
        connection.execute(
            f"UPDATE schedules SET document = json_set(document, '$.trigger', json({cron}))"
            " WHERE name = 'bad-cron'"
        )
        connection.execute("UPDATE schedules SET document = '{' WHERE name = 'broken'")
        connection.execute(
            "UPDATE schedules SET name = 'a_b', document = json_set(document, '$.name', 'a_b')"
            " WHERE name = 'a-c'"
        )
        connection.commit()

    loaded = load_location(tiny, "definitions", "validate")
    assert loaded.returncode == 0, loaded.stderr
    said = loaded.stdout + loaded.stderr
    for name in ("bad-cron", "schedules.broken", "wrong.yml"):
        assert any("A schedule is left out" in line and name in line for line in said.splitlines())
    listed = load_location(tiny, "schedule", "list").stdout
    assert re.findall(r"Schedule: (\S+) \[", listed) == [
        "azure_ml_a_b_d44362d6_schedule", "azure_ml_a_b_schedule", "azure_ml_declared_schedule"
    ]  # fmt: skip


@pytest.mark.slow
def test_a_state_that_is_no_database_keeps_no_location_from_loading(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write(".cloud/local/schedules/it.yml", SCHEDULE.replace("COMMAND", "true"))
    home = tmp_path / "damaged"
    home.mkdir()
    (home / "state.db").write_text("This is no database, and too long to be taken for one.")
    monkeypatch.setenv("MLOPS_HOME", str(home))
    loaded = load_location(tiny, "schedule", "list")
    assert loaded.returncode == 0, loaded.stderr
    assert "azure_ml_every_other_day_schedule" in loaded.stdout
    assert "cannot be read" in loaded.stdout + loaded.stderr


def load_location(tiny: Tiny, *command: str) -> subprocess.CompletedProcess[str]:
    """Load the code location in a process of its own, as Dagster's command line does."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dagster", *command, "-f", "definitions.py"],
        cwd=tiny.folder,
        env={**os.environ, "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_names_that_dagster_would_take_for_one_stay_apart() -> None:
    names = dagster_names(["a_b", "a-b", "c-d", "plain"], taken=["azure_ml_plain"])
    assert len(set(names.values())) == 4
    assert (names["a_b"], names["c-d"]) == ("azure_ml_a_b", "azure_ml_c_d")
    assert names["a-b"].startswith("azure_ml_a_b_")
    assert names["plain"] != "azure_ml_plain"


def test_a_scheduled_run_hands_on_the_jobs_lines(scheduled: Tiny) -> None:
    (request,) = tick(scheduled, AT).run_requests
    result = run(scheduled, request)
    assert "[say] hello" in "\n".join(log_lines(result, scheduled.instance))


def test_a_scheduled_run_survives_a_workspace_that_does_not_answer_for_a_moment(
    scheduled: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = type(scheduled.workspace.jobs)
    get, calls = jobs.get, []

    def get_or_not(self: Any, name: str) -> JobRecord:
        calls.append(name)
        if len(calls) % 2:
            raise WorkspaceUnavailable("The line is busy.")
        return get(self, name)

    monkeypatch.setattr(jobs, "get", get_or_not)
    (request,) = tick(scheduled, AT).run_requests
    assert run(scheduled, request).success
    assert len(calls) > 1


def test_a_scheduled_job_that_cannot_run_any_more_fails_its_run_without_a_traceback(
    scheduled: Tiny,
) -> None:
    (request,) = tick(scheduled, AT).run_requests
    (scheduled.folder / ".cloud/local/compute/cpu.yml").unlink()
    result = run(scheduled, request)
    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    assert "There is no compute 'cpu'" in error.message
    assert (error.cause, error.context) == (None, None)
