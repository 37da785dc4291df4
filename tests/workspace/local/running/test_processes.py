"""The processes of local jobs: their environment, their ranks, and what their runner loads."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidDocument, InvalidRequest
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, at_rest
from tests.workspace.local.job_logs import without_notes


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


def variables_of(local: LocalWorkspace, record: JobRecord) -> dict[str, str]:
    lines = local.jobs.log(record.name).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_job_gets_what_it_needs_of_the_submitters_variables_and_no_other(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("LC_TIME", "C")
    strange = ("A_SECRET", "DAGSTER_HOME", "MLOPS_TOKEN", "MLFLOW_TRACKING_TOKEN", "PYTHONPATH")
    for name in strange:
        monkeypatch.setenv(name, "not yours")
    found = variables_of(local, run(local, job, "command: env"))
    assert (found["HTTPS_PROXY"], found["LC_TIME"]) == ("http://proxy:3128", "C")
    assert "not yours" not in found.values()
    assert found["PYTHONUNBUFFERED"] == "1"


def test_the_homes_file_names_further_variables(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEAM_NAME", "TEAM_SIZE", "WHO", "OTHER"):
        monkeypatch.setenv(name, name.lower())
    (local.home / "variables.yml").write_text("pass_on: [TEAM_*, WHO]\nset: {LEVEL: high}\n")
    text = "command: env\nenvironment_variables: {WHO: the YAML}"
    found = variables_of(local, run(local, job, text))
    assert (found["TEAM_NAME"], found["TEAM_SIZE"]) == ("team_name", "team_size")
    assert (found["LEVEL"], found["WHO"]) == ("high", "the YAML")
    assert "OTHER" not in found


def test_a_mistake_in_the_file_of_variables_is_told_with_its_line(
    local: LocalWorkspace, job: WriteJob
) -> None:
    file = local.home / "variables.yml"
    for text, mistake in (
        ("set: {}\npass: [A]\n", r"variables\.yml:2: pass"),
        ('set:\n  A: "x\\0"\n', r"variables\.yml:2: set\.A: .*NUL"),
    ):
        file.write_text(text)
        with pytest.raises(InvalidDocument, match=mistake):
            local.jobs.submit(job("command: 'true'"))


def test_a_step_is_reused_whatever_the_shell_has_unless_the_file_names_it(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "type: pipeline\njobs: {step: {command: 'echo [$FLAVOUR]'}}"

    def log_and_origin(flavour: str) -> tuple[str, str | None]:
        monkeypatch.setenv("FLAVOUR", flavour)
        (step,) = local.jobs.list(parent=run(local, job, text).name)
        return without_notes(local.jobs.log(step.name)), step.reused_from

    assert log_and_origin("sweet") == ("[]\n", None)
    assert log_and_origin("sour")[1] is not None
    (local.home / "variables.yml").write_text("pass_on: [FLAVOUR]\n")
    assert log_and_origin("sweet") == ("[sweet]\n", None)
    assert log_and_origin("sour") == ("[sour]\n", None)
    assert log_and_origin("sweet")[1] is not None


def test_a_queued_job_runs_in_the_environment_that_it_was_submitted_from(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = local.compute.get("serverless").max_instances
    (local.home / "variables.yml").write_text("pass_on: [WHO]\n")
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


def test_of_the_submitters_variables_nothing_lies_in_the_home_but_what_a_waiting_job_gets(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files_with(text: bytes) -> set[str]:
        files = [path for path in local.home.rglob("*") if path.is_file()]
        return {path.name for path in files if text in path.read_bytes()}

    (local.home / "variables.yml").write_text("pass_on: [TOKEN]\n")
    monkeypatch.setenv("A_SECRET", "hunter2")
    monkeypatch.setenv("TOKEN", "swordfish")
    text = f"command: until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    nodes = local.compute.get("serverless").max_instances
    names = [local.jobs.submit(job(text)).name for _ in range(nodes + 1)]
    assert local.jobs.get(names[-1]).status is JobStatus.QUEUED
    assert files_with(b"hunter2") == set()
    assert files_with(b"swordfish") <= {"state.db", "state.db-wal"}
    (tmp_path / "go").touch()
    for name in names:
        local.jobs.wait(name, timeout=60)
    run(local, job, "type: pipeline\njobs: {step: {command: 'true'}}")
    at_rest(local.home)
    with closing(sqlite3.connect(local.home / "state.db")) as connection:
        kept = connection.execute("SELECT DISTINCT environment FROM job_plans").fetchall()
        assert kept == [(None,)]
        plans = connection.execute("SELECT group_concat(plan) FROM job_plans").fetchone()[0]
        assert "swordfish" not in plans
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
        echo="$OMPI_COMM_WORLD_RANK/$OMPI_COMM_WORLD_SIZE $OMPI_COMM_WORLD_LOCAL_RANK"
        " $AZ_BATCHAI_MPI_MASTER_NODE $AZ_BATCH_MASTER_NODE",
        distribution="{type: mpi, process_count_per_instance: 2}",
        nodes=1,
    )
    record = run(local, job, text)
    rows = sorted(line.split() for line in local.jobs.log(record.name).splitlines())
    assert [row[:3] for row in rows] == [["0/2", "0", "127.0.0.1"], ["1/2", "1", "127.0.0.1"]]
    (master,) = {row[3] for row in rows}
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", master)


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
