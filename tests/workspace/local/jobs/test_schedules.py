"""Schedules that a project declares, and entries of the state that cannot be read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_dagster import connect
from mlops_dagster.aml import load_schedule
from mlops_dagster.errors import Conflict, InvalidDocument
from mlops_dagster.workspace.ports import JobStatus

SCHEDULE = """\
name: NAME
trigger: {type: recurrence, frequency: week, interval: 2}
create_job:
  type: command
  command: echo hello
  environment: azureml:any@latest
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "flights"
    (folder / ".cloud/local/schedules").mkdir(parents=True)
    (folder / "project.yaml").touch()
    return folder


def declare(project: Path, name: str, text: str = SCHEDULE, *, file: str = "") -> Path:
    path = project / ".cloud/local/schedules" / f"{file or name}.yml"
    path.write_text(text.replace("NAME", name))
    return path


def test_a_declared_schedule_is_one_of_the_workspace(project: Path) -> None:
    file = declare(project, "weekly")
    (record,) = connect(project=project).schedules.list()
    assert (record.name, record.source, record.is_declared) == ("weekly", file, True)
    # Without a start it counts from a Monday that every machine knows.
    assert record.created_at == datetime(2024, 1, 1, tzinfo=UTC)
    job = connect(project=project).schedules.submit("weekly", datetime(2026, 1, 31, 3, tzinfo=UTC))
    assert job.name == "flights-weekly-20260131T030000Z"
    ended = connect(project=project).jobs.wait(job.name, timeout=60)
    assert ended.status is JobStatus.COMPLETED


def test_a_declared_schedule_is_switched_here_and_deleted_in_its_file(project: Path) -> None:
    file = declare(project, "weekly", SCHEDULE + "is_enabled: false\n")
    found = connect(project=project).schedules
    assert not found.get("weekly").is_enabled
    assert found.enable("weekly").is_enabled
    assert connect(project=project).schedules.get("weekly").is_enabled
    for change in (lambda: found.delete("weekly"), lambda: found.create(load_schedule(file))):
        with pytest.raises(Conflict, match=r"\.cloud/local/schedules/weekly\.yml"):
            change()
    file.unlink()
    assert connect(project=project).schedules.list() == []


def test_a_file_that_is_wrong_leaves_the_others_and_is_named_with_its_line(project: Path) -> None:
    declare(project, "weekly")
    declare(project, "weekly", file="zweitens")
    declare(project, "hourly", SCHEDULE.replace("week", "fortnight"))
    declare(project, "nowhere", SCHEDULE.replace("interval: 2", "interval: 2, time_zone: Mars"))
    declare(project, "registered", SCHEDULE.partition("create_job")[0] + "create_job: azureml:a:1")
    (project / ".cloud/local/schedules/folder.yml").mkdir()
    (project / ".cloud/local/schedules/binary.yml").write_bytes(b"\xff\xfe\x00 name: x")
    found = connect(project=project).schedules
    assert [record.name for record in found.list()] == ["weekly"]
    problems = {problem.file.name: problem for problem in found.problems()}
    assert set(problems) == {
        "zweitens.yml", "hourly.yml", "nowhere.yml", "registered.yml", "folder.yml", "binary.yml"
    }  # fmt: skip
    assert problems["hourly.yml"].line == 2
    assert "Mars" in problems["nowhere.yml"].message
    assert (problems["registered.yml"].line, problems["registered.yml"].field) == (3, "create_job")
    with pytest.raises(InvalidDocument, match=r"hourly\.yml:2"):
        found.get("hourly")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE schedules SET document = '{' WHERE name = 'b'",
        (
            "UPDATE schedules SET document = json_set(document, '$.trigger.time_zone', 'Mars')"
            " WHERE name = 'b'"
        ),
        "UPDATE schedules SET created_at = 'long ago' WHERE name = 'b'",
        "UPDATE schedules SET created_at = 1e300 WHERE name = 'b'",
    ],
)
def test_an_entry_of_the_state_that_cannot_be_read_stands_in_the_way_of_no_other(
    project: Path, mlops_home: Path, damage: str
) -> None:
    found = connect(project=project).schedules
    for name in ("a", "b"):
        file = project / f"{name}.yml"
        file.write_text(SCHEDULE.replace("NAME", name))
        found.create(load_schedule(file))
    with closing(sqlite3.connect(mlops_home / "state.db")) as connection:
        connection.execute(damage)
        connection.commit()
    assert [record.name for record in found.list()] == ["a"]
    (problem,) = found.problems()
    assert (problem.file, problem.field) == (mlops_home / "state.db", "schedules.b")
    assert "mlops schedule delete b" in problem.remedy
    found.delete("b")
    assert found.problems() == []
