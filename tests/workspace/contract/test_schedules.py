"""What a workspace promises of schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from mlops_dagster.aml import load_job, load_schedule
from mlops_dagster.aml.assets import Schedule
from mlops_dagster.errors import Conflict, MlopsError, NotFound, Unsupported
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobStatus

AT = datetime(2026, 1, 31, 3, 0, tzinfo=UTC)
NIGHTLY = """
    name: nightly
    display_name: Every night
    trigger: {type: cron, expression: "0 3 * * *", time_zone: UTC}
    create_job:
      type: pipeline
      experiment_name: nights
      jobs:
        say:
          type: command
          command: echo ran >> PLACE/ran
          environment: azureml:any@latest
          is_deterministic: false
"""


def schedule(folder: Path, text: str = NIGHTLY) -> Schedule:
    file = folder / "schedule.yml"
    file.write_text(dedent(text).replace("PLACE", str(folder)), encoding="utf-8")
    return load_schedule(file)


def test_a_schedule_is_kept_and_can_be_disabled_and_deleted(
    workspace: Workspace, tmp_path: Path
) -> None:
    schedules = workspace.schedules
    created = schedules.create(schedule(tmp_path))
    assert (created.name, created.is_enabled) == ("nightly", True)
    assert created.source == tmp_path / "schedule.yml"
    assert not schedules.disable("nightly").is_enabled
    changed = NIGHTLY.replace("0 3", "0 4")
    again = schedules.create(schedule(tmp_path, changed))
    assert (again.is_enabled, again.created_at) == (False, created.created_at)
    assert again.trigger.model_dump()["expression"] == "0 4 * * *"
    assert schedules.enable("nightly") == schedules.get("nightly") == schedules.list()[0]
    schedules.delete("nightly")
    assert schedules.list() == []
    with pytest.raises(NotFound):
        schedules.get("nightly")


def test_the_job_of_one_moment_runs_once(workspace: Workspace, tmp_path: Path) -> None:
    workspace.schedules.create(schedule(tmp_path))
    first = workspace.schedules.submit("nightly", AT)
    assert workspace.jobs.wait(first.name, timeout=60).status is JobStatus.COMPLETED
    assert workspace.schedules.submit("nightly", AT).created_at == first.created_at
    assert (first.name, first.experiment) == ("nightly-20260131T030000Z", "nights")
    assert first.tags["schedule"] == "nightly"
    second = workspace.schedules.submit("nightly", AT.replace(day=30))
    assert workspace.jobs.wait(second.name, timeout=60).status is JobStatus.COMPLETED
    assert (tmp_path / "ran").read_text() == "ran\nran\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("time_zone: UTC", "time_zone: Nowhere", "Nowhere"),
        ("command: echo", "code: azureml:gone:1\n          command: echo", "azureml:gone:1"),
        ("type: command\n", "type: automl\n", "AutoML"),
    ],
)
def test_a_schedule_whose_job_could_not_run_is_refused(
    workspace: Workspace, tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(MlopsError, match=said):
        workspace.schedules.create(schedule(tmp_path, NIGHTLY.replace(old, new)))
    assert workspace.schedules.list() == []


def test_a_schedule_whose_file_says_so_begins_disabled(
    workspace: Workspace, tmp_path: Path
) -> None:
    text = NIGHTLY.replace("    trigger:", "    is_enabled: false\n    trigger:")
    assert not workspace.schedules.create(schedule(tmp_path, text)).is_enabled


def test_a_job_by_its_name_is_refused_with_what_to_write(
    workspace: Workspace, tmp_path: Path
) -> None:
    head = NIGHTLY.partition("create_job")[0]
    with pytest.raises(Unsupported, match="Name the job's file"):
        workspace.schedules.create(schedule(tmp_path, f"{head}create_job: azureml:train:1\n"))


def test_a_name_that_dagster_could_not_tell_from_another_is_refused(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.schedules.create(schedule(tmp_path, NIGHTLY.replace("name: nightly", "name: a-b")))
    with pytest.raises(Conflict, match="'a_b' has nearly the name of the schedule 'a-b'"):
        workspace.schedules.create(
            schedule(tmp_path, NIGHTLY.replace("name: nightly", "name: a_b"))
        )
    workspace.schedules.create(schedule(tmp_path, NIGHTLY.replace("name: nightly", "name: a-b")))
    assert [record.name for record in workspace.schedules.list()] == ["a-b"]


def test_a_cron_expression_without_a_date_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    loaded = schedule(tmp_path)
    trigger = loaded.trigger.model_copy(update={"expression": "0 0 31 2 *"})
    with pytest.raises(MlopsError, match="there is no such date in any year"):
        workspace.schedules.create(loaded.model_copy(update={"trigger": trigger}))
    assert workspace.schedules.list() == []


TOLD = """
    name: told
    trigger: {type: cron, expression: "0 3 * * *"}
    create_job:
      type: pipeline
      job: ./job.yml
      inputs:
        when: ${{create_context.trigger_time}}
        who: ${{name}}
      tags: {schedule: mine, other: "1"}
"""
JOB = """
    type: pipeline
    inputs: {when: now, who: me}
    outputs:
      rows:
        type: uri_folder
        path: azureml://datastores/workspaceblobstore/paths/${{creation_context.trigger_time}}
    jobs:
      say:
        command: echo "${{inputs.when}} ${{inputs.who}}" | tee ${{outputs.rows}}/said
        environment: azureml:any@latest
        inputs: {when: "${{parent.inputs.when}}", who: "${{parent.inputs.who}}"}
        outputs: {rows: "${{parent.outputs.rows}}"}
"""


def test_a_job_is_told_its_time_and_its_name_and_keeps_its_own_tags(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "job.yml").write_text(dedent(JOB), encoding="utf-8")
    workspace.schedules.create(schedule(tmp_path, TOLD))
    submitted = workspace.schedules.submit("told", AT)
    ended = workspace.jobs.wait(submitted.name, timeout=60)
    assert (ended.status, ended.error) == (JobStatus.COMPLETED, None)
    (step,) = workspace.jobs.list(parent=submitted.name)
    assert f"2026-01-31T03:00:00Z {submitted.name}" in "".join(workspace.jobs.log(step.name))
    assert ended.outputs["rows"].uri.rstrip("/").endswith("/2026-01-31T03:00:00Z")
    assert (ended.tags["schedule"], ended.tags["other"]) == ("mine", "1")


def test_the_time_of_a_trigger_is_known_to_schedules_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = tmp_path / "job.yml"
    file.write_text(dedent(JOB).replace("when: now", "when: '${{creation_context.trigger_time}}'"))
    with pytest.raises(MlopsError, match=r"inputs\.when is .*, which only a schedule knows"):
        workspace.jobs.submit(load_job(file))
    assert workspace.jobs.list() == []
