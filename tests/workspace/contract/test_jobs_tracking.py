"""What a job's scripts log to MLflow is found again from the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobStatus
from tests.workspace.conftest import WriteJob

TRAIN = """
import mlflow

mlflow.log_param("depth", 3)
for step, loss in enumerate([0.9, 0.5, 0.4]):
    mlflow.log_metric("loss", loss, step=step)
mlflow.log_text("hello", "notes/hello.txt")
"""


@pytest.mark.slow
def test_metrics_parameters_and_files_of_a_step_are_found_from_its_pipeline(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(TRAIN)
    text = "type: pipeline\njobs: {train: {command: python train.py, code: ./src}}"
    submitted = workspace.jobs.submit(job(text))
    record = workspace.jobs.wait(submitted.name, timeout=120)
    (step,) = workspace.jobs.list(parent=record.name)
    assert record.status is JobStatus.COMPLETED, workspace.jobs.log(step.name)
    for name in (record.name, step.name):
        tracked = workspace.jobs.tracked(name)
        assert tracked.params["depth"] == "3"
        assert [point.value for point in tracked.metrics["loss"]] == [0.9, 0.5, 0.4]
        assert tracked.latest == {"loss": 0.4}
        assert workspace.jobs.artifact(name, "notes/hello.txt") == b"hello"
    workspace.jobs.download(record.name, tmp_path / "all", everything=True)
    assert (tmp_path / "all/train/artifacts/notes/hello.txt").read_text() == "hello"


def test_a_job_that_logs_nothing_has_nothing_tracked(workspace: Workspace, job: WriteJob) -> None:
    submitted = workspace.jobs.submit(job("command: 'true'"))
    workspace.jobs.wait(submitted.name, timeout=60)
    tracked = workspace.jobs.tracked(submitted.name)
    assert (tracked.metrics, tracked.params, list(tracked.artifacts)) == ({}, {}, [])
