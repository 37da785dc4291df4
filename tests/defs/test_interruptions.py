"""Runs that are killed, retried and terminated, as they are from the UI."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from dagster import DagsterRunStatus

from mlops_dagster.workspace.ports import JobStatus
from tests.defs.conftest import Tiny
from tests.defs.deployment import Deployment, deployed, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def deployment(tiny: Tiny) -> Iterator[Deployment]:
    """The tiny project with its numbers made; `fit` goes on until it is let go."""
    assert tiny.materialize("ingest/write", "numbers").success
    (tiny.control / "hold").touch()
    with deployed(tiny.instance, tiny.definitions_file) as served:
        yield served


def launch_fit(tiny: Tiny, deployment: Deployment) -> str:
    """Start a run of `fit` and wait until its command has started."""
    run = deployment.launch(tiny.key("train/fit"))
    wait_until(lambda: len(tiny.starts()) == 1)
    return run


def kill_worker(deployment: Deployment, run: str) -> None:
    """SIGKILL, and what Dagster's run monitoring then finds."""
    worker = deployment.worker(run)
    worker.kill()
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    killed = deployment.instance.get_run_by_id(run)
    assert killed is not None
    deployment.instance.report_run_failed(killed)


def fit_job(tiny: Tiny) -> str:
    (job,) = (job for job in tiny.workspace.jobs.list() if job.name.startswith("train-fit"))
    return job.name


def test_a_retry_after_a_killed_worker_attaches_to_the_job_that_still_runs(
    tiny: Tiny, deployment: Deployment
) -> None:
    run = launch_fit(tiny, deployment)
    kill_worker(deployment, run)
    assert tiny.workspace.jobs.get(fit_job(tiny)).status is JobStatus.RUNNING

    retry = deployment.retry(run)
    wait_until(lambda: deployment.status(retry) is DagsterRunStatus.STARTED)
    (tiny.control / "hold").unlink()
    deployment.wait_for(retry, DagsterRunStatus.SUCCESS)

    assert len(tiny.starts()) == 1
    assert tiny.newest("train/fit")["job"] == fit_job(tiny)


def test_a_retry_takes_what_completed_while_nobody_was_watching(
    tiny: Tiny, deployment: Deployment
) -> None:
    run = launch_fit(tiny, deployment)
    kill_worker(deployment, run)
    (tiny.control / "hold").unlink()
    job = fit_job(tiny)
    assert tiny.workspace.jobs.wait(job, timeout=20).status is JobStatus.COMPLETED

    retry = deployment.retry(run)
    deployment.wait_for(retry, DagsterRunStatus.SUCCESS)

    assert len(tiny.starts()) == 1
    shown = tiny.newest("train/fit")
    assert shown["job"] == job
    assert "reused from" not in shown


def test_a_retry_after_a_failure_is_a_new_try(tiny: Tiny, deployment: Deployment) -> None:
    (tiny.control / "fail").touch()
    (tiny.control / "hold").unlink()
    run = launch_fit(tiny, deployment)
    deployment.wait_for(run, DagsterRunStatus.FAILURE)
    (tiny.control / "fail").unlink()

    retry = deployment.retry(run)
    deployment.wait_for(retry, DagsterRunStatus.SUCCESS)

    assert len(tiny.starts()) == 2
    assert tiny.newest("train/fit")["job"].endswith("-2")


def test_terminating_a_run_ends_the_job_and_its_processes(
    tiny: Tiny, deployment: Deployment
) -> None:
    run = launch_fit(tiny, deployment)
    (pid,) = tiny.starts()
    command = psutil.Process(pid)

    deployment.terminate(run)
    deployment.wait_for(run, DagsterRunStatus.CANCELED)

    assert tiny.workspace.jobs.wait(fit_job(tiny), timeout=20).status is JobStatus.CANCELED
    wait_until(lambda: not command.is_running(), seconds=10)


def test_a_worker_that_is_shut_down_leaves_the_job_to_a_retry(
    tiny: Tiny, deployment: Deployment
) -> None:
    run = launch_fit(tiny, deployment)

    deployment.worker(run).terminate()
    deployment.wait_for(run, DagsterRunStatus.FAILURE)
    assert tiny.workspace.jobs.get(fit_job(tiny)).status is JobStatus.RUNNING

    retry = deployment.retry(run)
    (tiny.control / "hold").unlink()
    deployment.wait_for(retry, DagsterRunStatus.SUCCESS)
    assert len(tiny.starts()) == 1
