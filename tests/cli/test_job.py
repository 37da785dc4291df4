"""`mlops job` on the local workspace, in a directory with nothing but a YAML file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.workspace import connect
from mlops_dagster.workspace.ports import JobStatus

from .conftest import Mlops, program_path

WriteJob = Callable[..., Path]

PIPELINE = """\
type: pipeline
display_name: two steps
jobs:
  first:
    type: command
    environment: {image: 'python:3.11'}
    command: echo one; echo made > ${{outputs.file}}
    outputs:
      file: {type: uri_file}
  second:
    type: command
    environment: {image: 'python:3.11'}
    command: {command}
    inputs:
      file: {type: uri_file, path: '${{parent.jobs.first.outputs.file}}'}
"""


@pytest.fixture
def pipeline(here: Path) -> Callable[[str], Path]:
    """Writes a pipeline of two steps, the second with the given command."""

    def write(command: str) -> Path:
        file = here / "pipeline.yml"
        file.write_text(PIPELINE.replace("{command}", json.dumps(command)), encoding="utf-8")
        return file

    return write


def test_a_job_runs_in_an_empty_directory(program: Mlops, write_job: WriteJob) -> None:
    ran = program("job", "run", write_job("echo hello; echo there >&2"))
    assert ran.status == 0, ran.err
    assert ran.out.splitlines() == ["hello", "there"]
    assert "completed" in ran.err


def test_a_pipelines_lines_bear_its_steps_names(
    mlops: Mlops, pipeline: Callable[[str], Path]
) -> None:
    ran = mlops("job", "run", pipeline("cat ${{inputs.file}}"))
    assert ran.status == 0, ran.err
    assert "first | one" in ran.out.splitlines()
    assert "second | made" in ran.out.splitlines()


def test_a_failed_job_ends_with_status_1_and_the_end_of_its_log(
    program: Mlops, write_job: WriteJob
) -> None:
    ran = program("job", "run", write_job("seq 100; echo no such table; exit 3"))
    assert ran.status == 1
    assert "Failed" in ran.err
    assert "no such table" in ran.err
    assert "\n3\n" not in ran.err
    assert "Traceback" not in ran.err


def test_a_failed_pipeline_names_the_step_and_ends_with_its_log(
    mlops: Mlops, pipeline: Callable[[str], Path]
) -> None:
    ran = mlops("job", "run", pipeline("echo no such column; exit 4"))
    assert ran.status == 1
    assert "second" in ran.err
    assert "no such column" in ran.err


def test_set_changes_an_input_and_is_never_more_than_data(
    mlops: Mlops, here: Path, write_job: WriteJob
) -> None:
    text = "$(touch owned); `touch owned` ${HOME} '\" [red]"
    job = write_job('echo "${{inputs.text}}"', more="inputs:\n  text: nothing\n")
    ran = mlops("job", "run", job, "--set", f"inputs.text={text}")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines() == [text]
    assert not list(here.rglob("owned"))


def test_as_json_stdout_holds_the_record_alone(mlops: Mlops, write_job: WriteJob) -> None:
    ran = mlops("job", "run", write_job("echo hello"), "--name", "one", "-o", "json")
    record = ran.json()
    assert (record["name"], record["status"]) == ("one", "Completed")
    assert "hello" in ran.err


def test_create_returns_at_once_and_stream_follows(mlops: Mlops, write_job: WriteJob) -> None:
    job = write_job("echo before; sleep 1; echo after")
    created = mlops("job", "create", "-f", job, "--name", "slow", "--experiment-name", "mine")
    assert (created.status, created.out) == (0, "slow\n")
    assert mlops("job", "show", "slow", "-o", "json").json()["experiment_name"] == "mine"
    followed = mlops("job", "stream", "slow")
    assert (followed.status, followed.out) == (0, "before\nafter\n")
    assert mlops("job", "logs", "slow").out == "before\nafter\n"
    assert mlops("job", "logs", "slow", "--tail", "1").out == "after\n"
    assert mlops("job", "logs", "slow", "--follow").out == "before\nafter\n"
    assert mlops("job", "logs", "slow", "--follow", "--tail", "1").status == 2
    as_json = [
        json.loads(line) for line in mlops("job", "logs", "slow", "-o", "json").out.splitlines()
    ]
    assert as_json[0] == {"job": "slow", "step": "", "text": "before"}


def test_the_same_name_is_run_once(mlops: Mlops, here: Path, write_job: WriteJob) -> None:
    job = write_job(f"echo ran >> {here}/runs")
    for _ in range(2):
        assert mlops("job", "run", job, "--name", "once").status == 0
    assert (here / "runs").read_text() == "ran\n"


def test_reuse_takes_over_what_an_equal_job_made(
    mlops: Mlops, here: Path, pipeline: Callable[[str], Path]
) -> None:
    job = pipeline(f"echo ran >> {here}/runs")
    mlops("job", "run", job, "--name", "a")
    again = mlops("job", "run", job, "--name", "b")
    assert "2 of 2 steps were reused" in again.err
    assert (here / "runs").read_text() == "ran\n"
    assert mlops("job", "run", job, "--name", "c", "--no-reuse").status == 0
    assert (here / "runs").read_text() == "ran\nran\n"


def test_a_standing_job_is_reused_only_on_request(
    mlops: Mlops, here: Path, write_job: WriteJob
) -> None:
    job = write_job(f"echo ran >> {here}/runs")
    for options in ([], [], ["--reuse"]):
        assert mlops("job", "run", job, *options).status == 0
    assert (here / "runs").read_text() == "ran\nran\n"


def test_list_shows_the_newest_first_and_steps_as_a_tree(
    mlops: Mlops, write_job: WriteJob, pipeline: Callable[[str], Path]
) -> None:
    mlops("job", "run", write_job("true"), "--name", "old", "--experiment-name", "e1")
    mlops("job", "run", pipeline("true"), "--name", "new", "--experiment-name", "e2")
    listed = mlops("job", "list", "-o", "json").json()
    assert [job["name"] for job in listed] == ["new", "old"]
    assert [
        job["name"] for job in mlops("job", "list", "--max-results", "1", "-o", "json").json()
    ] == ["new"]
    only = mlops("job", "list", "--experiment-name", "e1", "-o", "json").json()
    assert [job["name"] for job in only] == ["old"]
    tree = mlops("job", "list", "--tree", "-o", "json").json()
    assert [step["step"] for step in tree[0]["steps"]] == ["first", "second"]
    steps = mlops("job", "list", "-p", "new", "-o", "json").json()
    assert {step["step"] for step in steps} == {"first", "second"}
    table = mlops("job", "list", "--tree").out.splitlines()
    assert table[0].split()[:3] == ["name", "status", "type"]
    assert table[1].startswith("new ")
    assert table[2].startswith("  first (")
    assert table[-1].startswith("old ")


def test_download_copies_outputs_and_says_where(
    mlops: Mlops, here: Path, write_job: WriteJob
) -> None:
    job = write_job(
        "echo model > ${{outputs.model}}; echo other > ${{outputs.other}}",
        more="outputs:\n  model: {type: uri_file}\n  other: {type: uri_file}\n",
    )
    mlops("job", "run", job, "--name", "maker")
    one = mlops("job", "download", "maker", "--output-name", "model", "-p", "got", "-o", "json")
    contents = [Path(path).read_text() for path in one.json() if Path(path).is_file()]
    assert "model\n" in contents
    assert "other\n" not in contents
    assert mlops("job", "download", "maker").status == 0
    assert {"model\n", "other\n"} <= {
        p.read_text() for p in (here / "maker").rglob("*") if p.is_file()
    }
    refused = mlops("job", "download", "maker", "--output-name", "nothing")
    assert refused.status == 2
    assert "nothing" in refused.err


def test_compare_puts_inputs_and_durations_side_by_side(mlops: Mlops, write_job: WriteJob) -> None:
    job = write_job("echo ${{inputs.rate}}", more="inputs:\n  rate: 0.1\n  kind: same\n")
    mlops("job", "run", job, "--name", "a")
    mlops("job", "run", job, "--name", "b", "--set", "inputs.rate=0.2")
    sides = mlops("job", "compare", "a", "b", "-o", "json").json()
    assert [side["job"]["name"] for side in sides] == ["a", "b"]
    assert all(side["duration"] >= 0 for side in sides)
    rows = {line[1:].strip() for line in mlops("job", "compare", "a", "b").out.splitlines()}
    assert any(row.split() == ["input", "rate", "0.1", "0.2"] for row in rows)
    assert any(row.split() == ["input", "kind", "same", "same"] for row in rows)


def test_cancel_ends_the_jobs_processes(mlops: Mlops, here: Path, write_job: WriteJob) -> None:
    job = write_job(f"echo $$ > {here}/pid; sleep 600")
    mlops("job", "create", "-f", job, "--name", "long")
    pid = int(_awaited(lambda: (here / "pid").is_file() and (here / "pid").read_text()))
    canceled = mlops("job", "cancel", "long", "-o", "json")
    assert canceled.json()["status"] == "Canceled"
    assert not _runs(pid)
    assert mlops("job", "stream", "long").status == 1
    assert mlops("job", "cancel", "long").status == 0


def test_a_job_that_has_completed_cannot_be_canceled(mlops: Mlops, write_job: WriteJob) -> None:
    mlops("job", "run", write_job("true"), "--name", "done")
    refused = mlops("job", "cancel", "done")
    assert refused.status == 1
    assert "Completed" in refused.err


def test_ctrl_c_leaves_the_job_running_and_says_how_to_end_it(
    here: Path, mlops: Mlops, write_job: WriteJob
) -> None:
    job = write_job(f"echo started; while [ ! -e {here}/go ]; do sleep 0.05; done; echo ended")
    process = subprocess.Popen(
        [program_path(), "job", "run", job, "--name", "kept"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    # As a terminal does it: to every process of the foreground group.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on in the background" in said
    assert "mlops job cancel kept" in said
    assert mlops("job", "show", "kept", "-o", "json").json()["status"] == "Running"
    (here / "go").touch()
    assert mlops("job", "stream", "kept").out.splitlines() == ["started", "ended"]


def test_names_and_logs_are_never_markup(mlops: Mlops, write_job: WriteJob) -> None:
    job = write_job("echo '[bold]x[/bold] [/nope]'", more="display_name: '[red]d[/nope]'\n")
    ran = mlops("job", "run", job, "--name", "marked")
    assert ran.out == "[bold]x[/bold] [/nope]\n"
    assert "[red]d[/nope]" in mlops("job", "show", "marked").out


def test_a_mistake_in_the_file_is_told_with_its_line_and_nothing_runs(
    mlops: Mlops, here: Path
) -> None:
    file = here / "job.yml"
    file.write_text("type: command\ncommand: date\ncomand: x\nenvironment: azureml:e@latest\n")
    ran = mlops("job", "run", file)
    assert ran.status == 2
    assert "job.yml:3" in ran.err
    assert mlops("job", "list", "-o", "json").json() == []


@pytest.fixture(autouse=True)
def ended_jobs() -> Iterator[None]:
    """A test leaves no job behind."""
    yield
    workspace = connect("local")
    for record in workspace.jobs.list():
        if not record.status.is_terminal:
            workspace.jobs.cancel(record.name)
            assert workspace.jobs.wait(record.name, timeout=30).status is JobStatus.CANCELED
    workspace.stop_services()
    workspace.close()


def _awaited(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail("it did not happen within 60 s")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_is_validated_without_being_started(mlops: Mlops, write_job: WriteJob) -> None:
    file = write_job("true", more="identity: {type: managed}\n")
    ran = mlops("job", "validate", "-f", file)
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "On this machine without effect: identity.",
        (
            "The image python:3.11 is not used on this machine; the interpreter at hand stands for"
            " it. `environments:` in .mlops/substitutions.yml names another one, and a conda file"
            " lets --isolate build one."
        ),
    ]
    assert mlops("job", "list", "-o", "json").json() == []
    file = write_job("true", more="inputs: {rows: {type: uri_file, path: azureml:none:1}}\n")
    assert mlops("job", "validate", "-f", file).status == 2


def test_a_failed_pipeline_is_resumed_and_says_what_it_took_over(
    mlops: Mlops, pipeline: Callable[[str], Path], here: Path
) -> None:
    file = pipeline(f"test -f {here}/mended && cat ${{{{inputs.file}}}}")
    assert mlops("job", "run", file, "--name", "one").status == 1
    (here / "mended").touch()
    ran = mlops("job", "resume", "one")
    assert ran.status == 0, ran.err
    assert "second | made" in ran.out.splitlines()
    assert "1 of 2 steps were taken over from one." in ran.err
    assert mlops("job", "resume", "one_r2").status == 2


def test_an_archived_job_is_left_out_of_the_list(mlops: Mlops, write_job: WriteJob) -> None:
    assert mlops("job", "run", write_job("true"), "--name", "old").status == 0
    assert mlops("job", "archive", "old").status == 0
    assert mlops("job", "list", "-o", "json").json() == []
    (listed,) = mlops("job", "list", "--include-archived", "-o", "json").json()
    assert (listed["name"], listed["archived"]) == ("old", True)
    assert mlops("job", "restore", "old").status == 0
    assert len(mlops("job", "list", "-o", "json").json()) == 1


def test_what_a_job_will_lack_is_said_on_stderr_when_it_is_submitted(
    mlops: Mlops, write_job: WriteJob
) -> None:
    conda = "environment: {image: i, conda_file: {dependencies: [not-there]}}\n"
    file = write_job("echo ran")
    file.write_text(file.read_text().replace("environment: {image: 'python:3.11'}\n", conda))
    ran = mlops("job", "create", "-f", file)
    assert ran.status == 0, ran.err
    assert "These packages of its environment are not installed here: not-there." in ran.err
    assert len(ran.out.splitlines()) == 1
    mlops("job", "stream", ran.out.strip())


def test_substitutions_and_isolation_reach_the_job(
    mlops: Mlops, write_job: WriteJob, here: Path
) -> None:
    (here / "mine.csv").write_text("mine\n")
    (here / "stand-ins.yml").write_text("inputs: {'wasbs://c@account.example/f': mine.csv}")
    raw = "inputs: {raw: {type: uri_file, path: 'wasbs://c@account.example/f'}}\n"
    file = write_job("cat ${{inputs.raw}}", more=raw)
    refused = mlops("job", "validate", "-f", file)
    assert refused.status == 2
    assert "job.yml:5: inputs.raw: wasbs://c@account.example/f lies on another" in refused.err
    ran = mlops("job", "run", file, "--substitutions", "stand-ins.yml", "--isolate")
    assert (ran.status, ran.out) == (0, "mine\n"), ran.err


def test_a_log_is_printed_once_where_stdout_and_stderr_are_read_together(
    here: Path, pipeline: Callable[[str], Path]
) -> None:
    file = pipeline("echo no such column; exit 4")
    ran = subprocess.run(
        [program_path(), "job", "run", file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 1
    lines = [line for line in ran.stdout.splitlines() if "no such column" in line]
    assert [line for line in lines if "exited with status 4" not in line] == [
        "second | no such column"
    ]


def test_a_missing_module_is_told_with_what_would_bring_it(
    program: Mlops, write_job: WriteJob
) -> None:
    ran = program("job", "run", write_job("python -c 'import not_installed.part'"))
    assert ran.status == 1
    assert ran.err.count("ModuleNotFoundError") == 2  # the reason, and the end of the log
    assert "Module not_installed is not installed where the job ran. `--isolate`" in ran.err


def test_an_input_that_is_not_there_is_told_with_file_line_and_the_nearest_name(
    mlops: Mlops, here: Path, write_job: WriteJob
) -> None:
    (here / "rates.csv").write_text("1\n")
    given = "inputs:\n  rates: {type: uri_file, path: rate.csv}\n"
    ran = mlops("job", "run", write_job("cat ${{inputs.rates}}", more=given))
    assert ran.status == 2
    assert f"job.yml:6: inputs.rates: There is no file or folder '{here}/rate.csv'." in ran.err
    assert "Did you mean 'rates.csv'?" in ran.err


def test_compare_prints_only_differences_on_request(mlops: Mlops, write_job: WriteJob) -> None:
    job = write_job("true", more="inputs: {rate: 1, same: 2}\n")
    for rate in ("1", "2"):
        assert (
            mlops("job", "run", job, "-n", f"r{rate}", "--set", f"inputs.rate={rate}").status == 0
        )
    shown = mlops("job", "compare", "r1", "r2", "--differences").out
    assert "input rate" in shown
    assert "input same" not in shown
    assert "input same" in mlops("job", "compare", "r1", "r2").out
    alike = mlops("job", "compare", "r1", "r1", "--differences")
    assert "are the same everywhere" in alike.err
    alone = mlops("job", "compare", "r1")
    assert (alone.status, "one sweep" in alone.err) == (2, True)


@pytest.mark.slow
def test_the_first_start_of_mlflow_is_told_once_and_in_piped_output_too(
    program: Mlops, write_job: WriteJob
) -> None:
    logging = write_job("python -c 'import mlflow; mlflow.log_metric(\"a\", 1)'; echo logged")
    first = program("job", "run", logging)
    assert first.status == 0, first.err
    lines = first.out.splitlines()
    assert [line for line in lines if "MLflow is starting for the first time" in line] == [lines[0]]
    assert "logged" in lines
    assert "MLflow is starting" not in program("job", "run", logging).out


SWEEP = """\
type: sweep
trial:
  environment: {image: 'python:3.11'}
  command: >-
    python -c "import mlflow; [mlflow.log_metric('loss', v, step=s)
    for s, v in enumerate([9, abs(${{search_space.x}} - 2), 5])]"
search_space: {x: {type: choice, values: [1, 2, 3]}}
sampling_algorithm: grid
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 3}
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_sweep_shows_its_best_trial_and_its_trials_as_a_leaderboard(
    mlops: Mlops, here: Path
) -> None:
    (here / "sweep.yml").write_text(SWEEP)
    assert mlops("job", "run", "sweep.yml", "-n", "swept").status == 0
    shown = mlops("job", "show", "swept").out
    best = next(line for line in shown.splitlines() if line.startswith("best trial"))
    assert "(loss 0.0)" in best
    trials = mlops("job", "compare", "swept", "-o", "json").json()
    assert [(trial["rank"], trial["metric"]) for trial in trials] == [(1, 0.0), (2, 1.0), (3, 1.0)]
    assert [trial["hyperparameters"]["x"] for trial in trials if trial["is_best"]] == [2]
    table = mlops("job", "compare", "swept").out.splitlines()
    assert table[0].split() == ["rank", "trial", "status", "metric", "x"]
    assert table[1].split()[0] == "*"


def test_show_has_a_jobs_inputs_and_outputs(mlops: Mlops, write_job: WriteJob) -> None:
    given = "inputs: {rate: 0.5}\noutputs: {made: {type: uri_file, name: things}}\n"
    job = write_job("echo ${{inputs.rate}} > ${{outputs.made}}", more=given)
    assert mlops("job", "run", job, "-n", "shown").status == 0
    lines = [line.split() for line in mlops("job", "show", "shown").out.splitlines()]
    assert ["rate", "0.5"] in lines
    assert ["made", "uri_file", "azureml:things:1"] in lines
