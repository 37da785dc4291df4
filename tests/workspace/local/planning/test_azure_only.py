"""What needs Azure is refused in one message, before anything starts; what has no effect is said."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from mlops_dagster.aml import load_job, load_schedule
from mlops_dagster.errors import Unsupported
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.local.planning.azure_only import unsupported_problems
from mlops_dagster.workspace.ports import JobStatus
from tests.workspace.conftest import WriteJob


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return file


def test_every_place_in_all_the_files_is_told_at_once(
    local: LocalWorkspace, tmp_path: Path
) -> None:
    write(
        tmp_path,
        "inner.yml",
        """
        type: pipeline
        name: inner
        version: 1
        jobs:
          move:
            type: data_transfer
            task: copy_data
        """,
    )
    file = write(
        tmp_path,
        "outer.yml",
        """
        type: pipeline
        jobs:
          best:
            type: automl
            task: classification
          nested:
            type: pipeline
            component: ./inner.yml
          train:
            type: command
            command: date
            environment: azureml:any@latest
            code: azureml:trainer:1
            distribution:
              type: ray
        """,
    )
    with pytest.raises(Unsupported) as caught:
        local.jobs.submit(load_job(file))
    for line in (
        f"{file}:4: jobs.best.type: An AutoML job runs only on Azure.",
        f"{tmp_path / 'inner.yml'}:6: jobs.move.type: A data transfer",
        f"{file}:13: jobs.train.code: azureml:trainer:1 is not on this machine.",
        f"{file}:14: jobs.train.distribution: A distribution of type ray",
    ):
        assert line in str(caught.value)
    assert local.jobs.list() == []


def test_a_place_in_the_job_of_a_schedule_is_found(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "schedule.yml",
        """
        name: nightly
        trigger: {type: cron, expression: "0 1 * * *"}
        create_job:
          type: pipeline
          jobs:
            best:
              type: automl
              task: classification
        """,
    )
    job = load_schedule(file).job
    assert job is not None
    assert [(found.file, found.line) for found in unsupported_problems(job)] == [(file, 7)]


def test_what_has_no_effect_is_one_line_of_the_log(local: LocalWorkspace, job: WriteJob) -> None:
    asked = job(
        """
        command: "true"
        identity: {type: user_identity}
        queue_settings: {job_tier: spot}
        resources: {instance_type: Standard_NC6, shm_size: 2g, docker_args: --ipc host}
        services:
          notebook: {type: jupyter_lab}
          board: {type: tensor_board, log_dir: outputs}
        """
    )
    record = local.jobs.wait(local.jobs.submit(asked).name, timeout=60)
    assert record.status is JobStatus.COMPLETED
    said = [line for line in local.jobs.log(record.name).splitlines() if "without effect" in line]
    assert len(said) == 1
    assert said[0].endswith(
        "On this machine not started: the services notebook, board; without effect: identity,"
        " queue_settings, resources.instance_type, resources.shm_size, resources.docker_args."
    )
