"""Sweeps as jobs: trials side by side, the best one known, and every way in which they can end."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path

import psutil
import pytest

from mlops_dagster.errors import InvalidRequest, NotFound
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import runs, until
from tests.workspace.local.kinds.sweep.conftest import Submit

GRID = """
type: sweep
trial:
  command: python trial.py ${{search_space.x}} ${{outputs.model}}
  code: ./src
  environment: azureml:any@latest
outputs:
  model: {type: uri_file}
search_space:
  x: {type: choice, values: [1, 2, 3, 4]}
sampling_algorithm: grid
objective: {goal: maximize, primary_metric: score}
limits: {max_total_trials: 10}
compute: azureml:pair
"""
PARABOLA = """
from pathlib import Path
x = int(sys.argv[1])
log("score", -(x - 3) ** 2)
Path(sys.argv[2]).write_text(f"model of {x}")
"""
# Says in a file that it runs, logs what it is told, and runs on until it is ended.
ENDLESS = """
from pathlib import Path
here = Path(os.environ["HERE"])
(here / f"pid{sys.argv[1]}").write_text(str(os.getpid()))
time.sleep(1000)
"""


def plain(
    tmp_path: Path, command: str, *, limits: str = "max_total_trials: 3", more: str = ""
) -> str:
    """A sweep over x in 0, 1, 2 whose trials write nothing."""
    return f"""
type: sweep
trial:
  command: {json.dumps(command)}
  code: ./src
  environment: azureml:any@latest
  environment_variables: {{HERE: {json.dumps(str(tmp_path))}}}
search_space:
  x: {{type: choice, values: [0, 1, 2]}}
sampling_algorithm: grid
objective: {{goal: minimize, primary_metric: loss}}
limits: {{{limits}}}
compute: azureml:four
{more}
"""


def ended(project: LocalWorkspace, record: JobRecord) -> JobRecord:
    return project.jobs.wait(record.name, timeout=120)


def trials_of(project: LocalWorkspace, record: JobRecord) -> list[JobRecord]:
    return list(reversed(project.jobs.list(parent=record.name)))


def drawn(project: LocalWorkspace, record: JobRecord) -> list[dict[str, object]]:
    return [json.loads(trial.tags["hyperparameters"]) for trial in trials_of(project, record)]


@pytest.mark.slow
def test_the_best_trial_of_a_grid_is_known_and_its_outputs_are_the_sweeps(
    project: LocalWorkspace, submit: Submit
) -> None:
    record = ended(project, submit(GRID, PARABOLA, name="grid"))
    assert (record.type, record.status, record.error) == ("sweep", JobStatus.COMPLETED, None)
    assert record.properties["best_child_run_id"] == "grid_2"
    assert record.properties["score"] == "0.0"
    trials = trials_of(project, record)
    assert [trial.name for trial in trials] == [f"grid_{number}" for number in range(4)]
    assert {trial.status for trial in trials} == {JobStatus.COMPLETED}
    assert drawn(project, record) == [{"x": value} for value in (1, 2, 3, 4)]
    output = record.outputs["model"]
    assert output.uri == "azureml://datastores/workspaceblobstore/paths/azureml/grid/model"
    assert project.data.local_path(output.uri).read_text() == "model of 3"
    assert project.jobs.log("grid").splitlines()[-5:] == [
        "trial   hyperparameters  score  status",
        "grid_0  x=1                 -4  Completed",
        "grid_1  x=2                 -1  Completed",
        "grid_2  x=3                  0  Completed  <- best",
        "grid_3  x=4                 -1  Completed",
    ]


@pytest.mark.slow
def test_each_trial_has_a_run_of_its_own_below_the_sweeps(
    project: LocalWorkspace, submit: Submit
) -> None:
    record = ended(project, submit(GRID, PARABOLA))
    trial = trials_of(project, record)[1]
    assert project.jobs.tracked(trial.name).latest == {"score": -1.0}
    assert project.jobs.tracked(trial.name).tags == {"hyperparameters": '{"x": 2}'}
    assert len(project.jobs.tracked(record.name).metrics["score"]) == 4
    with sqlite3.connect(project.home / "mlflow/mlflow.db") as connection:
        query = "SELECT run_uuid FROM tags WHERE key = 'mlops.job' AND value = ?"
        (sweep,) = connection.execute(query, (record.name,)).fetchone()
        (child,) = connection.execute(query, (trial.name,)).fetchone()
        query = "SELECT value FROM tags WHERE key = 'mlflow.parentRunId' AND run_uuid = ?"
        assert connection.execute(query, (child,)).fetchone() == (sweep,)
        query = "SELECT status FROM runs WHERE run_uuid = ?"
        assert connection.execute(query, (sweep,)).fetchone() == ("FINISHED",)
    connection.close()


FOLDS = """
import mlflow
x = int(sys.argv[1])
own, folds = {1: (0.2, 0.99), 2: (0.6, 0.5), 3: (0.3, 0.9), 4: (0.1, 0.8)}[x]
open(sys.argv[2], "w").write(str(x))
with mlflow.start_run():
    LOGS_ITSELF
    for fold in range(2):
        with mlflow.start_run(run_name=f"fold{fold}", nested=True):
            mlflow.log_metric("score", folds)
"""


@pytest.mark.slow
def test_the_best_trial_is_chosen_by_its_own_run_and_not_by_nested_ones(
    project: LocalWorkspace, submit: Submit
) -> None:
    trial = FOLDS.replace("LOGS_ITSELF", 'mlflow.log_metric("score", own)')
    record = ended(project, submit(GRID, trial, name="folds"))
    assert record.properties["best_child_run_id"] == "folds_1"
    assert record.properties["score"] == "0.6"
    tracked = project.jobs.tracked("folds_1")
    assert tracked.latest == {"score": 0.6}
    assert [(run.name, run.latest) for run in tracked.runs] == [
        ("fold0", {"score": 0.5}),
        ("fold1", {"score": 0.5}),
    ]


@pytest.mark.slow
def test_a_sweep_whose_metric_only_nested_runs_logged_says_so(
    project: LocalWorkspace, submit: Submit
) -> None:
    record = ended(project, submit(GRID, FOLDS.replace("LOGS_ITSELF", "pass")))
    assert record.status is JobStatus.FAILED
    assert "only to other MLflow runs that they opened" in (record.error or "")


PIPELINE = """
type: pipeline
settings: {default_compute: azureml:pair}
outputs:
  said: {type: uri_file}
jobs:
  use:
    type: command
    command: cat ${{inputs.model}}/best.txt > ${{outputs.said}}
    environment: azureml:any@latest
    inputs:
      model: ${{parent.jobs.tune.outputs.model}}
    outputs:
      said: ${{parent.outputs.said}}
  tune:
    type: sweep
    trial: ./trial.yml
    inputs:
      offset: ${{parent.jobs.prepare.outputs.offset}}
    outputs:
      model:
    search_space:
      rate: {type: choice, values: [1, 5, 7]}
    sampling_algorithm: grid
    objective: {goal: minimize, primary_metric: loss}
    limits: {max_total_trials: 3, max_concurrent_trials: 2}
  prepare:
    type: command
    command: echo 4 > ${{outputs.offset}}
    environment: azureml:any@latest
    outputs:
      offset: {type: uri_file}
"""
TRIAL_COMPONENT = """
type: command
name: trial
inputs:
  offset: {type: uri_file}
  rate: {type: integer}
  note: {type: string, default: none}
outputs:
  model: {type: uri_folder}
command: >-
  python trial.py --rate ${{inputs.rate}} --offset ${{inputs.offset}} ${{outputs.model}}
code: ./src
environment: azureml:any@latest
"""
DISTANCE = """
from pathlib import Path
rate, offset = int(sys.argv[2]), int(Path(sys.argv[4]).read_text())
assert os.environ["AZUREML_SWEEP_rate"] == str(rate)
log("loss", abs(rate - offset))
(Path(sys.argv[5]) / "best.txt").write_text(f"rate {rate}")
"""


@pytest.mark.slow
def test_a_sweep_in_a_pipeline_takes_what_is_made_before_and_passes_its_best_model_on(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    (tmp_path / "trial.yml").write_text(TRIAL_COMPONENT)
    record = ended(project, submit(PIPELINE, DISTANCE, name="whole"))
    assert (record.status, record.error) == (JobStatus.COMPLETED, None)
    assert project.data.local_path(record.outputs["said"].uri).read_text() == "rate 5"
    steps = {step.step: step for step in project.jobs.list(parent="whole")}
    assert (steps["tune"].type, steps["tune"].status) == ("sweep", JobStatus.COMPLETED)
    assert steps["tune"].properties["best_child_run_id"] == "whole_tune_1"
    lines = [(line.step, line.text) for line in project.jobs.stream("whole")]
    assert ("tune", "whole_tune_1  rate=5              1  Completed  <- best") in lines

    again = ended(project, submit(PIPELINE, DISTANCE, name="again"))
    (tune,) = [step for step in project.jobs.list(parent="again") if step.step == "tune"]
    assert (again.status, tune.reused_from) == (JobStatus.COMPLETED, "whole_tune")
    assert tune.properties["best_child_run_id"] == "whole_tune_1"
    assert project.jobs.list(parent=tune.name) == []

    other = PIPELINE.replace("minimize", "maximize")
    ended(project, submit(other, DISTANCE, name="other"))
    (tune,) = [step for step in project.jobs.list(parent="other") if step.step == "tune"]
    assert tune.reused_from is None
    assert tune.properties["best_child_run_id"] == "other_tune_0"


@pytest.mark.slow
def test_the_best_model_goes_where_the_yaml_says_and_registers_itself(
    project: LocalWorkspace, submit: Submit
) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/models/best"
    text = GRID.replace(
        "model: {type: uri_file}",
        f"model: {{type: custom_model, path: '{place}', name: parabola}}",
    )
    trial = PARABOLA.replace("Path(sys.argv[2])", '(Path(sys.argv[2]) / "weights")')
    record = ended(project, submit(text, trial))
    assert record.outputs["model"].uri == place
    assert (project.data.local_path(place) / "weights").read_text() == "model of 3"
    model = project.models.get("parabola")
    assert (record.outputs["model"].asset, model.job) == (model.reference, record.name)
    assert model.code == record.properties["mlops.code"]


@pytest.mark.slow
def test_random_sampling_with_a_seed_draws_the_same_trials_again(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    text = plain(tmp_path, "echo ${{search_space.x}}").replace(
        "x: {type: choice, values: [0, 1, 2]}", "x: {type: uniform, min_value: 0, max_value: 1}"
    )
    text = text.replace("algorithm: grid", "algorithm: {type: random, seed: 7}")
    first, second = (ended(project, submit(text)) for _ in range(2))
    assert drawn(project, first) == drawn(project, second)
    assert len({str(values) for values in drawn(project, first)}) == 3
    said = [float(project.jobs.log(trial.name)) for trial in trials_of(project, first)]
    assert said == [values["x"] for values in drawn(project, first)]


@pytest.mark.parametrize(
    ("compute", "limits", "at_once"),
    [
        ("four", "max_total_trials: 6, max_concurrent_trials: 2", {"1", "2"}),
        ("pair", "max_total_trials: 6, max_concurrent_trials: 5", {"1", "2"}),
        ("four", "max_total_trials: 6", {"1", "2", "3", "4"}),
    ],
)
def test_trials_run_side_by_side_up_to_the_limit_and_the_nodes(
    project: LocalWorkspace,
    submit: Submit,
    tmp_path: Path,
    compute: str,
    limits: str,
    at_once: set[str],
) -> None:
    slot = (
        f"set -C; n=1; until echo $$ > {tmp_path}/slot$n; do n=$((n + 1)); done 2> /dev/null;"
        f" sleep 0.6; echo $n; rm {tmp_path}/slot$n"
    )
    text = plain(tmp_path, slot, limits=limits).replace("azureml:four", f"azureml:{compute}")
    record = ended(project, submit(text.replace("[0, 1, 2]", "[0, 1, 2, 3, 4, 5]")))
    slots = {project.jobs.log(trial.name).strip() for trial in trials_of(project, record)}
    assert slots == at_once


@pytest.mark.slow
def test_a_policy_ends_a_poor_trial_which_leaves_no_process(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    policy = "early_termination: {type: bandit, slack_amount: 0.5, evaluation_interval: 1}"
    trial = """
    from pathlib import Path
    x = int(sys.argv[1])
    log("loss", float(x))
    if x == 2:
        Path(os.environ["HERE"], "pid").write_text(str(os.getpid()))
        while True:
            time.sleep(0.2)
            log("loss", 2.0)
    """
    command = "python trial.py ${{search_space.x}}"
    record = ended(project, submit(plain(tmp_path, command, more=policy), trial))
    assert (record.status, record.error) == (JobStatus.COMPLETED, None)
    good, _, poor = trials_of(project, record)
    assert poor.status is JobStatus.CANCELED
    assert (poor.error or "").startswith(
        "It was ended early by the bandit policy: loss was 2 after"
    )
    assert not runs(int((tmp_path / "pid").read_text()))
    assert record.properties["best_child_run_id"] == good.name
    assert "x=2                 2  ended early" in project.jobs.log(record.name)


@pytest.mark.slow
def test_trials_that_fail_do_not_fail_the_sweep(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    trial = """
    x = int(sys.argv[1])
    log("loss", -10.0 if x == 1 else float(x))
    sys.exit("no convergence" if x == 1 else 0)
    """
    command = "python trial.py ${{search_space.x}}"
    record = ended(project, submit(plain(tmp_path, command), trial))
    assert record.status is JobStatus.COMPLETED
    assert [each.status for each in trials_of(project, record)] == [
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.COMPLETED,
    ]
    assert record.properties["best_child_run_id"] == f"{record.name}_0"


def test_a_sweep_of_which_every_trial_fails_has_failed_and_says_why(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    record = ended(project, submit(plain(tmp_path, "echo no such column; exit 3"), name="fails"))
    assert record.status is JobStatus.FAILED
    assert record.error == (
        "All 3 trials failed; fails_0: Its command exited with status 3: no such column"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ('log("accuracy", 1.0); log("Loss", 1.0)', "they logged Loss, accuracy."),
        ("", "they logged no metric at all."),
    ],
)
def test_a_sweep_without_its_metric_has_failed_and_says_what_was_logged_instead(
    project: LocalWorkspace, submit: Submit, tmp_path: Path, trial: str, said: str
) -> None:
    record = ended(project, submit(plain(tmp_path, "python trial.py"), trial))
    assert record.status is JobStatus.FAILED
    assert record.error == (
        f"None of its 3 trials brought the primary metric 'loss': {said}"
        " Log it in the trial: mlflow.log_metric('loss', VALUE)."
    )


def test_canceling_a_sweep_ends_all_its_trials_and_no_other_was_drawn_ahead_of_its_node(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    text = plain(tmp_path, "python trial.py ${{search_space.x}}")
    record = submit(text.replace("azureml:four", "azureml:pair"), ENDLESS)
    pids = wait_for_pids(tmp_path, 2)
    project.jobs.cancel(record.name)
    record = ended(project, record)
    assert (record.status, record.error) == (JobStatus.CANCELED, "It was canceled.")
    trials = trials_of(project, record)
    assert [each.status for each in trials] == [JobStatus.CANCELED] * 2
    assert not any(runs(pid) for pid in pids)


def test_canceling_one_trial_leaves_the_others_alone(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    command = f"touch {tmp_path}/begun${{{{search_space.x}}}}; test ${{{{search_space.x}}}} != 1 || sleep 1000"
    record = submit(plain(tmp_path, command), name="one_less")
    until((tmp_path / "begun1").exists)
    project.jobs.cancel("one_less_1")
    ended(project, record)
    assert [each.status for each in trials_of(project, record)] == [
        JobStatus.COMPLETED,
        JobStatus.CANCELED,
        JobStatus.COMPLETED,
    ]


def test_a_sweep_that_takes_too_long_is_ended_with_its_trials(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    limits = "max_total_trials: 3, max_concurrent_trials: 1, timeout: 2"
    command = "python trial.py ${{search_space.x}}"
    record = ended(project, submit(plain(tmp_path, command, limits=limits), ENDLESS))
    assert record.status is JobStatus.FAILED
    assert record.error == "It ran longer than its limit of 2 s."
    (trial,) = trials_of(project, record)
    assert (trial.status, trial.error) == (
        JobStatus.CANCELED,
        "Its sweep ran longer than its limit.",
    )


def test_a_trial_that_takes_too_long_fails_and_the_others_run(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    command = "test ${{search_space.x}} != 0 || sleep 1000"
    limits = "max_total_trials: 3, trial_timeout: 1"
    record = ended(project, submit(plain(tmp_path, command, limits=limits)))
    slow, *others = trials_of(project, record)
    assert (slow.status, slow.error) == (JobStatus.FAILED, "It ran longer than its limit of 1 s.")
    assert {each.status for each in others} == {JobStatus.COMPLETED}


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGKILL, JobStatus.NOT_RESPONDING, "ended without a word"),
        (signal.SIGTERM, JobStatus.FAILED, "asked to end (SIGTERM)"),
    ],
)
def test_a_sweep_whose_runner_was_ended_says_so_and_leaves_no_process(
    project: LocalWorkspace,
    submit: Submit,
    tmp_path: Path,
    number: int,
    status: JobStatus,
    said: str,
) -> None:
    limits = "max_total_trials: 3, max_concurrent_trials: 2"
    command = "python trial.py ${{search_space.x}}"
    record = submit(plain(tmp_path, command, limits=limits), ENDLESS)
    pids = wait_for_pids(tmp_path, 2)
    (runner,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "mlops_dagster.workspace.local.running.runner" in (process.info["cmdline"] or [])
        and record.name in process.info["cmdline"]
    ]
    runner.send_signal(number)
    record = ended(project, record)
    assert record.status is status
    assert said in (record.error or "")
    assert {each.status for each in trials_of(project, record)} == {status}
    assert not any(runs(pid) for pid in pids)


@pytest.mark.slow
def test_a_resumed_pipeline_runs_its_failed_sweep_again(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    ready = f"sys.exit(not Path({str(tmp_path / 'ready')!r}).exists())"
    (tmp_path / "trial.yml").write_text(TRIAL_COMPONENT)
    record = ended(project, submit(PIPELINE, f"{DISTANCE}{ready}", name="halted"))
    assert record.status is JobStatus.FAILED
    assert (record.error or "").startswith("Step tune failed: All 3 trials failed;")
    (tmp_path / "ready").touch()
    resumed = ended(project, project.jobs.resume("halted", new_name="resumed"))
    assert (resumed.status, resumed.error) == (JobStatus.COMPLETED, None)
    steps = {step.step: step for step in project.jobs.list(parent="resumed")}
    assert steps["prepare"].reused_from is not None
    assert steps["tune"].properties["best_child_run_id"] == "resumed_tune_1"
    assert len(project.jobs.list(parent="resumed_tune")) == 3


def test_a_conditional_space_reaches_the_command_as_one_argument(
    project: LocalWorkspace, submit: Submit, tmp_path: Path
) -> None:
    space = """x:
    type: choice
    values:
      - {name: forest's, trees: {type: choice, values: [10, 20]}}
      - {name: linear}
"""
    text = plain(tmp_path, "python trial.py ${{search_space.x}}")
    text = text.replace("x: {type: choice, values: [0, 1, 2]}\n", space)
    record = ended(project, submit(text, "print(json.loads(sys.argv[1]), len(sys.argv))"))
    said = [project.jobs.log(trial.name).strip() for trial in trials_of(project, record)]
    assert said == [
        "{'name': \"forest's\", 'trees': 10} 2",
        "{'name': \"forest's\", 'trees': 20} 2",
        "{'name': 'linear'} 2",
    ]


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        (
            "x: {type: choice, values: [0, 1, 2]}",
            "x: {type: randint, upper: 3}",
            InvalidRequest,
            "x",
        ),
        ("azureml:four", "azureml:fourty", NotFound, "fourty"),
    ],
)
def test_a_sweep_that_cannot_run_is_refused_before_anything_starts(
    project: LocalWorkspace,
    submit: Submit,
    tmp_path: Path,
    old: str,
    new: str,
    kind: type[InvalidRequest],
    said: str,
) -> None:
    before = [found.name for found in project.jobs.list()]
    with pytest.raises(kind, match=said):
        submit(plain(tmp_path, "true").replace(old, new))
    assert [found.name for found in project.jobs.list()] == before


def wait_for_pids(folder: Path, count: int) -> list[int]:
    until(lambda: sum(bool(file.read_text()) for file in folder.glob("pid*")) == count)
    return [int(file.read_text()) for file in folder.glob("pid*")]
