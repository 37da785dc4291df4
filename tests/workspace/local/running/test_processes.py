"""The processes of local jobs: their environment, their ranks, and what their runner loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, at_rest


def run(local: LocalWorkspace, job: WriteJob, text: str) -> JobRecord:
    submitted = local.jobs.submit(job(text))
    return local.jobs.wait(submitted.name, timeout=60)


def test_a_runner_loads_no_heavy_library() -> None:
    heavy = ("azure", "dagster", "mlflow", "numpy", "pandas", "pydantic", "yaml")
    script = "import sys, mlops_dagster.workspace.local.running.runner; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not set(heavy) & set(done.stdout.split())


def test_the_submitters_own_variables_reach_the_job_and_internals_do_not(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    for name in ("DAGSTER_HOME", "MLOPS_TOKEN", "MLFLOW_TRACKING_TOKEN", "AZUREML_RUN_TOKEN"):
        monkeypatch.setenv(name, "not yours")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    record = run(local, job, "command: env")
    said = dict(
        line.split("=", 1) for line in local.jobs.log(record.name).splitlines() if "=" in line
    )
    assert said["HTTPS_PROXY"] == "http://proxy:3128"
    assert "not yours" not in said.values()
    assert "PYTHONDONTWRITEBYTECODE" not in said
    assert said["PYTHONUNBUFFERED"] == "1"


def test_a_queued_job_runs_in_the_environment_that_it_was_submitted_from(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = local.compute.get("serverless").max_instances
    monkeypatch.setenv("WHO", "others")
    for number in range(nodes):
        local.jobs.submit(job("command: sleep 0.3"), name=f"other-{number}")
    monkeypatch.setenv("WHO", "me")
    mine = local.jobs.submit(job('command: echo "$WHO"'))
    assert mine.status is JobStatus.QUEUED
    monkeypatch.setenv("WHO", "later")
    local.jobs.wait(mine.name, timeout=60)
    assert local.jobs.log(mine.name) == "me\n"
    for number in range(nodes):
        local.jobs.wait(f"other-{number}", timeout=60)


def test_the_submitters_variables_are_not_kept(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    run(local, job, "command: 'true'")
    run(local, job, "type: pipeline\njobs: {step: {command: 'true'}}")
    local.close()
    with_values = [
        path
        for path in at_rest(local.home).rglob("*")
        if path.is_file() and path.name != "state.db-wal" and b"hunter2" in path.read_bytes()
    ]
    assert [path for path in with_values if path.name != "state.db"] == []
    import sqlite3

    connection = sqlite3.connect(local.home / "state.db")
    assert connection.execute("SELECT DISTINCT environment FROM job_plans").fetchall() == [(None,)]
    connection.close()
    assert (local.home / "state.db").stat().st_mode & 0o077 == 0


def test_python_is_the_interpreter_of_the_workspace(local: LocalWorkspace, job: WriteJob) -> None:
    record = run(local, job, "command: python -c 'import sys; print(sys.executable)'")
    said = Path(local.jobs.log(record.name).strip())
    assert said.parent == Path(sys.executable).parent


RANKS = """
    command: echo {echo}
    distribution: {distribution}
    resources: {{instance_count: {nodes}}}
"""


def test_pytorch_ranks_find_one_another(local: LocalWorkspace, job: WriteJob) -> None:
    text = RANKS.format(
        echo="$RANK $LOCAL_RANK $NODE_RANK $WORLD_SIZE $MASTER_ADDR $MASTER_PORT",
        distribution="{type: pytorch, process_count_per_instance: 2}",
        nodes=2,
    )
    record = run(local, job, text)
    rows = sorted(line.split() for line in local.jobs.log(record.name).splitlines())
    assert [row[:5] for row in rows] == [
        ["0", "0", "0", "4", "127.0.0.1"],
        ["1", "1", "0", "4", "127.0.0.1"],
        ["2", "0", "1", "4", "127.0.0.1"],
        ["3", "1", "1", "4", "127.0.0.1"],
    ]
    assert len({row[5] for row in rows}) == 1


def test_mpi_ranks_have_open_mpis_variables(local: LocalWorkspace, job: WriteJob) -> None:
    text = RANKS.format(
        echo="$OMPI_COMM_WORLD_RANK/$OMPI_COMM_WORLD_SIZE $OMPI_COMM_WORLD_LOCAL_RANK",
        distribution="{type: mpi, process_count_per_instance: 2}",
        nodes=1,
    )
    record = run(local, job, text)
    assert sorted(local.jobs.log(record.name).splitlines()) == ["0/2 0", "1/2 1"]


def test_tensorflow_parameter_servers_end_with_the_workers(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        command: >-
          echo "$TF_CONFIG"; case "$TF_CONFIG" in *'"type": "ps"'*) sleep 1000;; esac
        distribution: {type: tensorflow, worker_count: 2, parameter_server_count: 1}
    """
    record = run(local, job, text)
    assert record.status is JobStatus.COMPLETED
    configs = [json.loads(line) for line in local.jobs.log(record.name).splitlines()]
    tasks = sorted((config["task"]["type"], config["task"]["index"]) for config in configs)
    assert tasks == [("ps", 0), ("worker", 0), ("worker", 1)]
    clusters = {json.dumps(config["cluster"]) for config in configs}
    assert len(clusters) == 1


def test_one_rank_that_fails_ends_the_others(local: LocalWorkspace, job: WriteJob) -> None:
    text = """
        command: if [ $RANK = 1 ]; then echo rank one gave up; exit 9; else sleep 1000; fi
        distribution: {type: pytorch, process_count_per_instance: 3}
    """
    record = run(local, job, text)
    assert record.error == "Its command exited with status 9: rank one gave up"


def test_a_number_of_processes_that_is_none_is_refused(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        command: 'true'
        inputs: {count: many}
        distribution: {type: mpi, process_count_per_instance: "${{inputs.count}}"}
    """
    record = run(local, job, text)
    assert record.status is JobStatus.FAILED
    assert "process_count_per_instance" in (record.error or "")


def test_a_parallel_step_feeds_its_entry_script(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "score.py").write_text(
        "import sys\n"
        "def run(mini_batch):\n"
        "    return [f'{open(file).read().strip()}:{sys.argv[1]}' for file in mini_batch]\n"
    )
    (tmp_path / "drops").mkdir()
    for number in range(5):
        (tmp_path / "drops" / f"{number}.txt").write_text(f"row {number}\n")
    text = """
        type: pipeline
        inputs:
          drops: {type: uri_folder, path: ./drops}
          word: it's fine
        outputs: {scores: {type: uri_file}}
        jobs:
          score:
            type: parallel
            mini_batch_size: "2"
            max_concurrency_per_instance: 2
            input_data: ${{inputs.drops}}
            inputs: {drops: "${{parent.inputs.drops}}", word: "${{parent.inputs.word}}"}
            outputs: {scores: "${{parent.outputs.scores}}"}
            task:
              type: run_function
              code: ./src
              entry_script: score.py
              environment: azureml:any@latest
              program_arguments: ${{inputs.word}}
              append_row_to: ${{outputs.scores}}
    """
    record = run(local, job, text)
    (step,) = local.jobs.list(parent=record.name)
    assert record.error is None, local.jobs.log(step.name)
    assert step.type == "parallel"
    rows = local.data.local_path(record.outputs["scores"].uri).read_text().splitlines()
    assert sorted(rows) == [f"row {number}:it's fine" for number in range(5)]


def test_a_number_of_nodes_must_be_one(local: LocalWorkspace, job: WriteJob) -> None:
    with pytest.raises(InvalidRequest, match="instance_count"):
        local.jobs.submit(job("command: 'true'\nresources: {instance_count: 0}"))


def test_a_command_can_be_interrupted_by_its_own_means(
    local: LocalWorkspace, job: WriteJob
) -> None:
    record = run(local, job, "command: timeout --signal INT 0.2 sleep 1000; echo $?")
    assert local.jobs.log(record.name) == "124\n"
