"""A pipeline's parallel step that was killed, and the job that resumes it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from mlops_dagster.aml import load_job
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobStatus
from tests.workspace.conftest import until

FILES = [f"{number:03d}.txt" for number in range(6)]

SCRIPT = """
    import os, time
    from pathlib import Path
    from azureml_user.parallel_run import EntryScript

    def run(mini_batch):
        (file,) = map(Path, mini_batch)
        with open("{root}/trace", "a") as trace:
            trace.write(file.name + chr(10))
        while file.name == "004.txt" and not Path("{root}/go").exists():
            time.sleep(0.05)
        Path(EntryScript().output_dir, file.name).write_text(file.read_text())
        return [file.read_text()]
"""

PIPELINE = """
    type: pipeline
    jobs:
      model:
        type: command
        command: date +%N > ${{{{outputs.model}}}}/model
        environment: azureml:any@latest
        outputs: {{model: {{type: uri_folder}}}}
      score:
        type: parallel
        inputs:
          files: {{type: uri_folder, path: files}}
          model: ${{{{parent.jobs.model.outputs.model}}}}
        outputs: {{scores: {{type: uri_folder}}}}
        input_data: ${{{{inputs.files}}}}
        mini_batch_size: "1"
        max_concurrency_per_instance: 1
        retry_settings: {{timeout: 600}}
        task:
          type: run_function
          code: src
          entry_script: score.py
          environment: azureml:any@latest
          program_arguments: --model ${{{{inputs.model}}}}
          append_row_to: ${{{{outputs.scores}}}}
"""


@pytest.fixture
def killed(local: LocalWorkspace, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder whose pipeline ``first`` was killed when four of its six files were scored."""
    for name in ("src", "files"):
        (tmp_path / name).mkdir()
    for name in FILES:
        (tmp_path / "files" / name).write_text(f"content of {name}")
    (tmp_path / "src" / "score.py").write_text(dedent(SCRIPT.format(root=tmp_path)))
    (tmp_path / "pipeline.yml").write_text(dedent(PIPELINE.format()))
    local.jobs.submit(load_job(tmp_path / "pipeline.yml"), name="first")
    progress = local.home / "datastores/.staging/first_score/progress/progress.db"
    until(lambda: progress.exists() and _ended(progress) == 4)
    until(lambda: _traced(tmp_path) == FILES[:5])
    module = getattr(request, "param", "parallel")
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        mine = any(str(local.home) in word for word in words)
        if mine and f"mlops_dagster.workspace.local.{module}" in words:
            process.kill()
    ended = local.jobs.wait("first", timeout=60).status
    assert ended in (JobStatus.FAILED, JobStatus.NOT_RESPONDING)
    (tmp_path / "trace").unlink()
    (tmp_path / "go").touch()
    return tmp_path


@pytest.mark.parametrize("killed", ["parallel", "running.runner"], indirect=True)
def test_a_resumed_parallel_step_runs_only_the_mini_batches_that_are_missing(
    local: LocalWorkspace, killed: Path
) -> None:
    local.jobs.resume("first", new_name="second")
    record = local.jobs.wait("second", timeout=60)
    assert record.status is JobStatus.COMPLETED, record.error
    assert _traced(killed) == FILES[4:]
    scores = local.data.local_path("azureml:second_score:outputs.scores")
    contents = [f"content of {name}" for name in FILES]
    assert (scores / "parallel_run_step.txt").read_text().splitlines() == contents
    assert sorted(path.name for path in scores.iterdir()) == [*FILES, "parallel_run_step.txt"]
    assert [(scores / name).read_text() for name in FILES] == contents
    assert not list((local.home / "datastores/.staging").glob("*_score"))


def test_a_step_that_a_canceled_resume_did_not_complete_still_goes_on_where_it_was_left(
    local: LocalWorkspace, killed: Path
) -> None:
    local.jobs.resume("first", new_name="second")
    local.jobs.cancel("second")
    assert local.jobs.wait("second", timeout=60).status is JobStatus.CANCELED
    local.jobs.resume("second", new_name="third")
    record = local.jobs.wait("third", timeout=60)
    assert record.status is JobStatus.COMPLETED, record.error
    assert set(_traced(killed)) == set(FILES[4:])
    scores = local.data.local_path("azureml:third_score:outputs.scores")
    assert sorted(path.name for path in scores.iterdir()) == [*FILES, "parallel_run_step.txt"]


def test_a_parallel_step_whose_other_inputs_have_changed_runs_whole(
    local: LocalWorkspace, killed: Path
) -> None:
    shutil.rmtree(local.data.local_path("azureml:first_model:outputs.model"))
    local.jobs.resume("first", new_name="second")
    record = local.jobs.wait("second", timeout=60)
    assert record.status is JobStatus.COMPLETED, record.error
    assert _traced(killed) == FILES
    assert not list((local.home / "datastores/.staging").glob("*_score"))


def _ended(progress: Path) -> int:
    with closing(sqlite3.connect(progress)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM mini_batch").fetchone()[0])
        except sqlite3.OperationalError:  # it is just being made
            return 0


def _traced(root: Path) -> list[str]:
    trace = root / "trace"
    return trace.read_text().split() if trace.exists() else []
