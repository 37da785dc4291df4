"""Nodes of the local compute targets: who gets them, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest, NotFound
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobStatus
from tests.workspace.conftest import WriteJob, nothing_is_left_of, until


@pytest.fixture
def project(tmp_path: Path, mlops_home: Path) -> Iterator[LocalWorkspace]:
    """A workspace with one compute target, ``pair``, of two nodes."""
    target = tmp_path / "project/.cloud/local/compute/pair.yml"
    target.parent.mkdir(parents=True)
    target.write_text("name: pair\ntype: amlcompute\nsize: Standard_DS3_v2\nmax_instances: 2\n")
    opened = LocalWorkspace.open(project=tmp_path / "project")
    yield opened
    opened.close()
    nothing_is_left_of(mlops_home)


@pytest.fixture
def held(tmp_path: Path) -> Callable[[str], str]:
    """The YAML of a job that notes that it runs, until the file ``go`` is there."""

    def text(name: str) -> str:
        return (
            f"command: touch {tmp_path}/{name}; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done\n"
            "compute: azureml:pair"
        )

    return text


def test_no_more_jobs_run_at_once_than_there_are_nodes(
    project: LocalWorkspace, job: WriteJob, held: Callable[[str], str], tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        project.jobs.submit(job(held(name)), name=name)
    until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    assert project.jobs.get("three").status is JobStatus.QUEUED
    target = project.compute.get("pair")
    assert (target.busy, target.queued) == (2, 1)
    (tmp_path / "go").touch()
    for name in ("one", "two", "three"):
        assert project.jobs.wait(name, timeout=60).status is JobStatus.COMPLETED


def test_a_job_that_needs_more_nodes_is_not_passed_by_those_behind_it(
    project: LocalWorkspace, job: WriteJob, held: Callable[[str], str], tmp_path: Path
) -> None:
    project.jobs.submit(job(held("first")), name="first")
    until((tmp_path / "first").exists)
    project.jobs.submit(job(held("big") + "\nresources: {instance_count: 2}"), name="big")
    project.jobs.submit(job(held("small")), name="small")
    assert project.jobs.get("small").status is JobStatus.QUEUED
    (tmp_path / "go").touch()
    ended = [project.jobs.wait(name, timeout=60) for name in ("first", "big", "small")]
    starts = [record.started_at for record in ended]
    assert None not in starts
    assert starts == sorted(starts, key=str)


def test_a_queued_job_that_is_canceled_never_runs(
    project: LocalWorkspace, job: WriteJob, held: Callable[[str], str], tmp_path: Path
) -> None:
    for name in ("one", "two", "never"):
        project.jobs.submit(job(held(name)), name=name)
    assert project.jobs.cancel("never").status is JobStatus.CANCELED
    (tmp_path / "go").touch()
    for name in ("one", "two"):
        project.jobs.wait(name, timeout=60)
    assert not (tmp_path / "never").exists()


def test_steps_of_a_pipeline_run_side_by_side_up_to_the_nodes(
    project: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    step = f"""
        set -C; n=1; until echo $$ > {tmp_path}/slot$n; do n=$((n + 1)); done 2> /dev/null;
        sleep 0.4; echo $n; rm {tmp_path}/slot$n
    """
    text = "type: pipeline\nsettings: {default_compute: 'azureml:pair'}\njobs:\n"
    for key in "abcd":
        text += f"  {key}: {{command: {' '.join(step.split())!r}}}\n"
    record = project.jobs.submit(job(text))
    assert project.jobs.wait(record.name, timeout=60).status is JobStatus.COMPLETED
    steps = project.jobs.list(parent=record.name)
    slots = {project.jobs.log(step.name).strip() for step in steps}
    assert slots == {"1", "2"}


def test_a_pipeline_and_single_jobs_share_the_nodes(
    project: LocalWorkspace, job: WriteJob, held: Callable[[str], str], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        project.jobs.submit(job(held(name)), name=name)
    text = "type: pipeline\njobs: {step: {command: 'true', compute: 'azureml:pair'}}"
    pipeline = project.jobs.submit(job(text))
    until(lambda: project.jobs.get(pipeline.name).status is JobStatus.RUNNING)
    (step,) = project.jobs.list(parent=pipeline.name)
    until(lambda: project.jobs.get(step.name).status is JobStatus.QUEUED)
    (tmp_path / "go").touch()
    assert project.jobs.wait(pipeline.name, timeout=60).status is JobStatus.COMPLETED
    for name in ("one", "two"):
        project.jobs.wait(name, timeout=60)


def test_a_target_that_the_project_does_not_declare_is_refused(
    project: LocalWorkspace, job: WriteJob
) -> None:
    with pytest.raises(NotFound, match="pai") as raised:
        project.jobs.submit(job("command: 'true'\ncompute: azureml:pai"))
    assert "pair" in str(raised.value)
    assert project.jobs.list() == []


def test_more_nodes_than_the_target_has_are_refused(project: LocalWorkspace, job: WriteJob) -> None:
    text = "command: 'true'\ncompute: azureml:pair\nresources: {instance_count: 3}"
    with pytest.raises(InvalidRequest, match="'pair' has at most 2"):
        project.jobs.submit(job(text))


def test_with_no_project_any_target_is_this_machine_which_is_said_once(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        type: pipeline
        jobs:
          a: {command: "true", compute: "azureml:gpu-cluster"}
          b: {command: "true", compute: "azureml:gpu-cluster"}
    """
    record = local.jobs.submit(job(text))
    lines = [line.text for line in local.jobs.stream(record.name)]
    assert lines == ["[mlops] The compute target 'gpu-cluster' stands for this machine."]
