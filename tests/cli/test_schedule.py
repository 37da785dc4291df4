"""`mlops schedule`."""

from __future__ import annotations

from pathlib import Path

from .conftest import Mlops

SCHEDULE = """\
name: weekly
trigger:
  type: recurrence
  frequency: week
  interval: 2
  schedule: {hours: [4], minutes: [30], week_days: [monday]}
create_job: ./job.yml
"""
JOB = "type: command\ncommand: date\nenvironment: azureml:any@latest\n"


def test_a_schedule_is_created_shown_disabled_and_deleted(mlops: Mlops, here: Path) -> None:
    (here / "job.yml").write_text(JOB)
    (here / "weekly.yml").write_text(SCHEDULE)
    ran = mlops("schedule", "create", "-f", "weekly.yml")
    assert (ran.status, ran.out) == (0, "weekly\n")
    assert "no code location" in ran.err
    shown = mlops("schedule", "show", "weekly", "-o", "json").json()
    assert (shown["cron"], shown["is_enabled"]) == ("30 4 * * 1", True)
    assert "as cron" in mlops("schedule", "show", "weekly").out
    assert mlops("schedule", "disable", "weekly").status == 0
    (listed,) = mlops("schedule", "list", "-o", "json").json()
    assert (listed["name"], listed["is_enabled"]) == ("weekly", False)
    assert mlops("schedule", "enable", "weekly").status == 0
    assert "enabled" in mlops("schedule", "list").out
    assert mlops("schedule", "delete", "weekly").status == 0
    assert mlops("schedule", "show", "weekly").status == 2


def test_a_declared_schedule_is_listed_and_checked(mlops: Mlops, here: Path) -> None:
    (here / "project.yaml").write_text("name: tiny\n")
    folder = here / ".cloud/local/schedules"
    folder.mkdir(parents=True)
    declared = SCHEDULE.replace("./job.yml", "../../../job.yml")
    (here / "job.yml").write_text(JOB)
    (folder / "weekly.yml").write_text(declared)
    (listed,) = mlops("schedule", "list", "-o", "json").json()
    assert (listed["name"], listed["is_declared"]) == ("weekly", True)
    assert mlops("check").status == 0

    (folder / "again.yml").write_text(declared)
    (folder / "wrong.yml").write_text(declared.replace("weekly", "wrong").replace("week", "moon"))
    ran = mlops("schedule", "list", "-o", "json")
    assert [each["name"] for each in ran.json()] == ["weekly"]
    assert "wrong.yml:4" in ran.err
    checked = mlops("check")
    assert checked.status == 2
    assert "wrong.yml:4" in checked.out
    assert "weekly.yml:1: name: " in checked.out
    assert mlops("doctor").status == 1
    assert "again.yml" in mlops("schedule", "delete", "weekly").err


def test_a_schedule_is_triggered_once_for_each_time(mlops: Mlops, here: Path) -> None:
    (here / "job.yml").write_text(JOB)
    (here / "weekly.yml").write_text(SCHEDULE)
    assert mlops("schedule", "create", "-f", "weekly.yml").status == 0
    at = ("--schedule-time", "2024-05-06T04:30:00Z")
    first, second = (mlops("schedule", "trigger", "-n", "weekly", *at).out for _ in range(2))
    assert first == second
    assert mlops("job", "stream", first.strip()).status == 0
    assert len(mlops("job", "list", "-o", "json").json()) == 1
    wrong = mlops("schedule", "trigger", "-n", "weekly", "--schedule-time", "noon")
    assert (wrong.status, "no time" in wrong.err) == (2, True)


def test_a_project_s_schedule_says_who_carries_it_out(mlops: Mlops, here: Path) -> None:
    (here / "project.yaml").write_text("name: tiny\n")
    (here / "job.yml").write_text(JOB)
    (here / "weekly.yml").write_text(SCHEDULE)
    assert "mlops ui" in mlops("schedule", "create", "-f", "weekly.yml").err
