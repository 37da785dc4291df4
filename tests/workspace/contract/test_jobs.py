"""What a workspace promises of single jobs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mlops_dagster.aml import load_job
from mlops_dagster.errors import Conflict, InvalidRequest, NotFound
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, runs, until


def run(workspace: Workspace, job: WriteJob, text: str) -> JobRecord:
    submitted = workspace.jobs.submit(job(text))
    return workspace.jobs.wait(submitted.name, timeout=60)


def test_a_command_that_exits_with_zero_is_completed(workspace: Workspace, job: WriteJob) -> None:
    record = run(workspace, job, "command: 'true'")
    assert record.status is JobStatus.COMPLETED
    assert record.error is None
    assert record.type == "command"
    assert record.started_at is not None
    assert record.ended_at is not None
    assert record.created_at <= record.started_at <= record.ended_at


def test_a_command_that_fails_says_its_status_and_its_last_words(
    workspace: Workspace, job: WriteJob
) -> None:
    record = run(workspace, job, "command: echo begun; echo 'no such airport' >&2; exit 3")
    assert record.status is JobStatus.FAILED
    assert record.error == "Its command exited with status 3: no such airport"
    assert workspace.jobs.log(record.name) == "begun\nno such airport\n"


def test_a_failing_part_before_the_last_does_not_fail_the_command(
    workspace: Workspace, job: WriteJob
) -> None:
    assert run(workspace, job, "command: 'false; true'").status is JobStatus.COMPLETED


def test_submit_returns_before_the_job_ends(workspace: Workspace, job: WriteJob) -> None:
    record = workspace.jobs.submit(job("command: sleep 100"))
    assert not record.status.is_terminal
    workspace.jobs.cancel(record.name)
    workspace.jobs.wait(record.name, timeout=30)


def test_the_same_job_under_the_same_name_is_run_once(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"command: echo once >> {tmp_path}/runs"
    first = workspace.jobs.submit(job(text), name="once")
    workspace.jobs.wait("once", timeout=60)
    again = workspace.jobs.submit(job(text), name="once")
    assert again.created_at == first.created_at
    assert again.status is JobStatus.COMPLETED
    assert (tmp_path / "runs").read_text() == "once\n"


def test_another_job_under_a_name_that_is_taken_is_refused(
    workspace: Workspace, job: WriteJob
) -> None:
    workspace.jobs.submit(job("command: echo one"), name="taken")
    with pytest.raises(Conflict, match="taken"):
        workspace.jobs.submit(job("command: echo two"), name="taken")
    workspace.jobs.wait("taken", timeout=60)


def test_other_code_or_other_content_of_an_input_makes_another_job(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    script, data = tmp_path / "src/say.py", tmp_path / "data.txt"
    script.write_text("print('one')")
    data.write_text("1")
    text = """
        command: python say.py
        code: src
        inputs: {data: {type: uri_file, path: data.txt}}
    """
    first = workspace.jobs.submit(job(text), name="taken")
    assert workspace.jobs.submit(job(text), name="taken").created_at == first.created_at
    script.write_text("print('two')")
    with pytest.raises(Conflict, match="taken"):
        workspace.jobs.submit(job(text), name="taken")
    script.write_text("print('one')")
    data.write_text("2")
    with pytest.raises(Conflict, match="taken"):
        workspace.jobs.submit(job(text), name="taken")
    data.write_text("1")
    assert workspace.jobs.submit(job(text), name="taken").created_at == first.created_at
    workspace.jobs.wait("taken", timeout=60)


def test_a_pipeline_with_a_mended_component_is_another_job(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    component = tmp_path / "say.yml"
    head = "type: command\nname: say\nenvironment: azureml:any@latest\ncommand: echo "
    component.write_text(f"{head}one\n")
    text = "type: pipeline\njobs: {say: {type: command, component: say.yml}}"
    first = workspace.jobs.submit(job(text), name="taken")
    assert workspace.jobs.submit(job(text), name="taken").created_at == first.created_at
    component.write_text(f"{head}two\n")
    with pytest.raises(Conflict, match="taken"):
        workspace.jobs.submit(job(text), name="taken")
    workspace.jobs.wait("taken", timeout=60)


@pytest.mark.parametrize("name", ["_", "..", "a/b", "-f", "a b", "x" * 256, "a\n", "a.b"])
def test_a_name_that_could_lead_elsewhere_is_refused(
    workspace: Workspace, job: WriteJob, name: str
) -> None:
    with pytest.raises(InvalidRequest, match="job's name"):
        workspace.jobs.submit(job("command: 'true'"), name=name)


def test_a_name_of_255_characters_is_fine(workspace: Workspace, job: WriteJob) -> None:
    name = "x" * 255
    text = "command: echo kept > outputs/kept; echo x > ${{outputs.o}}"
    text += "\noutputs: {o: {type: uri_file}}"
    workspace.jobs.submit(job(text), name=name)
    assert workspace.jobs.wait(name, timeout=60).status is JobStatus.COMPLETED


def test_literals_reach_the_command_as_single_arguments(
    workspace: Workspace, job: WriteJob
) -> None:
    record = run(
        workspace,
        job,
        """
        command: >-
          printf '<%s>' ${{inputs.text}} "${{inputs.text}}" ${{inputs.count}} ${{inputs.flag}}
        inputs:
          text: "it's $(touch /tmp/hacked); `id` \\\\ \\"quoted\\" *"
          count: 3
          flag: true
        """,
    )
    text = 'it\'s $(touch /tmp/hacked); `id` \\ "quoted" *'
    assert workspace.jobs.log(record.name) == f"<{text}><{text}><3><True>"


def test_a_file_beside_the_yaml_is_an_input_that_cannot_be_changed(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "my data.csv").write_text("a,b\n")
    record = run(
        workspace,
        job,
        """
        command: cat ${{inputs.table}}; test -w ${{inputs.table}} && echo writable; ls -l ${{inputs.table}}
        inputs: {table: {type: uri_file, path: ./my data.csv}}
        """,
    )
    said = workspace.jobs.log(record.name)
    assert said.startswith("a,b\n")
    assert "-r--r--r--" in said
    assert (tmp_path / "my data.csv").read_text() == "a,b\n"


def test_a_missing_input_is_told_before_anything_runs(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"""
        command: touch {tmp_path}/ran
        inputs: {{table: {{type: uri_file, path: ./absent.csv}}}}
    """
    with pytest.raises(NotFound, match=r"absent\.csv"):
        workspace.jobs.submit(job(text), name="early")
    with pytest.raises(NotFound):
        workspace.jobs.get("early")
    assert not (tmp_path / "ran").exists()


def test_outputs_are_found_by_their_uris(workspace: Workspace, job: WriteJob) -> None:
    record = run(
        workspace,
        job,
        """
        command: echo one > ${{outputs.file}}; echo two > ${{outputs.folder}}/two.txt
        outputs:
          file: {type: uri_file}
          folder: {type: uri_folder}
        """,
    )
    assert record.error is None
    paths = {name: workspace.data.local_path(output.uri) for name, output in record.outputs.items()}
    assert paths["file"].read_text() == "one\n"
    assert (paths["folder"] / "two.txt").read_text() == "two\n"


def test_an_output_goes_where_the_yaml_says(workspace: Workspace, job: WriteJob) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/scores/today.csv"
    record = run(
        workspace,
        job,
        f"""
        command: echo 0.7 > ${{{{outputs.scores}}}}
        outputs: {{scores: {{type: uri_file, path: "{place}"}}}}
        """,
    )
    assert record.outputs["scores"].uri == place
    assert workspace.data.local_path(place).read_text() == "0.7\n"


def test_the_outputs_of_a_failed_job_do_not_appear(workspace: Workspace, job: WriteJob) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/scores/half.csv"
    record = run(
        workspace,
        job,
        f"""
        command: echo half > ${{{{outputs.scores}}}}; exit 1
        outputs: {{scores: {{type: uri_file, path: "{place}"}}}}
        """,
    )
    assert record.status is JobStatus.FAILED
    assert record.outputs == {}
    with pytest.raises(NotFound):
        workspace.data.local_path(place)


@pytest.mark.parametrize("kind", ["uri_file", "mlflow_model", "custom_model"])
def test_a_command_that_writes_no_output_has_failed(
    workspace: Workspace, job: WriteJob, kind: str
) -> None:
    text = f"""
        command: echo forgot
        outputs: {{result: {{type: {kind}}}}}
    """
    record = run(workspace, job, text)
    assert record.status is JobStatus.FAILED
    assert "'result'" in (record.error or "")
    assert "${{outputs.result}}" in (record.error or "")


def test_a_folder_that_stays_empty_is_an_output_and_is_mentioned(
    workspace: Workspace, job: WriteJob
) -> None:
    record = run(workspace, job, "command: 'true'\noutputs: {rest: {type: uri_folder}}")
    assert record.status is JobStatus.COMPLETED
    assert list(workspace.data.local_path(record.outputs["rest"].uri).iterdir()) == []
    assert "'rest' is an empty folder" in workspace.jobs.log(record.name)


def test_an_output_with_a_name_registers_itself(workspace: Workspace, job: WriteJob) -> None:
    record = run(
        workspace,
        job,
        """
        command: echo 1 > ${{outputs.table}}; echo m > ${{outputs.model}}/weights
        outputs:
          table: {type: uri_file, name: flights}
          model: {type: custom_model, name: delays}
        """,
    )
    assert record.outputs["table"].asset == "azureml:flights:1"
    assert record.outputs["model"].asset == "azureml:delays:1"
    assert workspace.data.get("flights").job == record.name
    assert workspace.models.get("delays").job == record.name


def test_the_output_of_one_job_is_the_input_of_another(workspace: Workspace, job: WriteJob) -> None:
    first = run(workspace, job, "command: echo 7 > ${{outputs.o}}\noutputs: {o: {type: uri_file}}")
    second = run(
        workspace,
        job,
        f"""
        command: cat ${{{{inputs.i}}}}
        inputs: {{i: {{type: uri_file, path: "{first.outputs["o"].uri}"}}}}
        """,
    )
    assert workspace.jobs.log(second.name) == "7\n"


def test_code_is_a_snapshot_that_the_job_may_write_into(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    code = tmp_path / "src"
    (code / "deep").mkdir(parents=True)
    (code / "deep" / "main.py").write_text("print('as submitted')")
    text = "command: sleep 0.3; python deep/main.py; echo x > deep/main.py\ncode: ./src"
    submitted = workspace.jobs.submit(job(text))
    (code / "deep" / "main.py").write_text("print('edited since')")
    record = workspace.jobs.wait(submitted.name, timeout=60)
    assert workspace.jobs.log(record.name) == "as submitted\n"
    assert (code / "deep" / "main.py").read_text() == "print('edited since')"


def test_what_ends_up_in_outputs_and_logs_is_kept(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    record = run(
        workspace, job, "command: echo a > outputs/a.txt; echo b > logs/b.txt; echo said; exit 1"
    )
    workspace.jobs.download(record.name, tmp_path / "got")
    assert (tmp_path / "got/artifacts/outputs/a.txt").read_text() == "a\n"
    assert (tmp_path / "got/artifacts/logs/b.txt").read_text() == "b\n"
    assert (tmp_path / "got/artifacts/user_logs/std_log.txt").read_text() == "said\n"


def test_download_copies_one_output_or_all(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    record = run(
        workspace,
        job,
        """
        command: echo one > ${{outputs.file}}; echo two > ${{outputs.folder}}/two.txt
        outputs: {file: {type: uri_file}, folder: {type: uri_folder}}
        """,
    )
    written = workspace.jobs.download(record.name, tmp_path / "one", output="folder")
    assert [path.relative_to(tmp_path) for path in written] == [Path("one/named-outputs/folder")]
    assert (tmp_path / "one/named-outputs/folder/two.txt").read_text() == "two\n"
    for _ in range(2):
        workspace.jobs.download(record.name, tmp_path / "all")
    assert (tmp_path / "all/named-outputs/file/file").read_text() == "one\n"
    with pytest.raises(NotFound, match="file"):
        workspace.jobs.download(record.name, tmp_path / "none", output="fil")


def test_a_script_finds_the_variables_that_azure_ml_gives(
    workspace: Workspace, job: WriteJob
) -> None:
    text = """
        command: >-
          for name in AZUREML_RUN_ID AZUREML_ROOT_RUN_ID AZUREML_EXPERIMENT_NAME MLFLOW_RUN_ID
          MLFLOW_EXPERIMENT_NAME AZURE_ML_INPUT_rate LEVEL; do echo "$name=${!name}"; done;
          test "$AZURE_ML_OUTPUT_o" = ${{outputs.o}} && test -n "$MLFLOW_TRACKING_URI" && echo same
        experiment_name: delays
        inputs: {rate: 0.1}
        outputs: {o: {type: uri_folder}}
        environment_variables: {LEVEL: "$HOME is not expanded"}
    """
    workspace.jobs.submit(job(text), name="variables")
    workspace.jobs.wait("variables", timeout=60)
    assert workspace.jobs.log("variables").splitlines()[:8] == [
        "AZUREML_RUN_ID=variables",
        "AZUREML_ROOT_RUN_ID=variables",
        "AZUREML_EXPERIMENT_NAME=delays",
        "MLFLOW_RUN_ID=variables",
        "MLFLOW_EXPERIMENT_NAME=delays",
        "AZURE_ML_INPUT_rate=0.1",
        "LEVEL=$HOME is not expanded",
        "same",
    ]


def test_lines_are_streamed_while_the_job_runs(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"command: echo first; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo last"
    record = workspace.jobs.submit(job(text))
    lines = workspace.jobs.stream(record.name)
    assert next(lines).text == "first"
    assert not workspace.jobs.get(record.name).status.is_terminal
    (tmp_path / "go").touch()
    assert [(line.job, line.step, line.text) for line in lines] == [(record.name, "", "last")]


def test_both_streams_stand_in_the_log_in_their_order(workspace: Workspace, job: WriteJob) -> None:
    record = run(workspace, job, "command: for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    assert workspace.jobs.log(record.name).splitlines() == [
        "out 1",
        "err 1",
        "out 2",
        "err 2",
        "out 3",
        "err 3",
    ]
    assert workspace.jobs.log(record.name, tail=2) == "out 3\nerr 3"


def test_cancel_ends_a_running_job_and_everything_that_it_started(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"command: (sleep 1000 & echo $! > {tmp_path}/pid; wait) & sleep 1000"
    record = workspace.jobs.submit(job(text))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    canceled = workspace.jobs.cancel(record.name)
    assert canceled.status in (JobStatus.CANCEL_REQUESTED, JobStatus.CANCELED)
    ended = workspace.jobs.wait(record.name, timeout=30)
    assert ended.status is JobStatus.CANCELED
    assert not runs(int((tmp_path / "pid").read_text()))
    assert workspace.jobs.cancel(record.name).status is JobStatus.CANCELED


def test_canceling_a_job_that_has_ended_changes_nothing(
    workspace: Workspace, job: WriteJob
) -> None:
    record = run(workspace, job, "command: 'true'")
    assert workspace.jobs.cancel(record.name) == record


def test_a_job_that_runs_longer_than_its_limit_has_failed(
    workspace: Workspace, job: WriteJob
) -> None:
    started = time.monotonic()
    record = run(workspace, job, "command: echo begun; sleep 1000\nlimits: {timeout: 1}")
    assert record.status is JobStatus.FAILED
    assert record.error == "It ran longer than its limit of 1 s."
    assert time.monotonic() - started < 15


def test_wait_gives_up_after_its_timeout(workspace: Workspace, job: WriteJob) -> None:
    record = workspace.jobs.submit(job("command: sleep 1000"))
    assert not workspace.jobs.wait(record.name, timeout=0.2).status.is_terminal
    workspace.jobs.cancel(record.name)
    workspace.jobs.wait(record.name, timeout=30)


def test_jobs_are_listed_newest_first_by_experiment_and_tag(
    workspace: Workspace, job: WriteJob
) -> None:
    text = "command: 'true'\ntags: {team: blue}\nexperiment_name: one"
    for name, experiment, tags in (
        ("a", None, None),
        ("b", "two", {"stage": "x"}),
        ("c", None, {"stage": "x"}),
    ):
        workspace.jobs.submit(job(text), name=name, experiment=experiment, tags=tags)

    def names(**filters: object) -> list[str]:
        return [record.name for record in workspace.jobs.list(**filters)]  # type: ignore[arg-type]

    assert names() == ["c", "b", "a"]
    assert names(experiment="one") == ["c", "a"]
    assert names(tags={"stage": "x", "team": "blue"}) == ["c", "b"]
    assert names(limit=1) == ["c"]
    for name in "abc":
        workspace.jobs.wait(name, timeout=60)


def test_an_unknown_job_is_not_found_and_the_nearest_is_named(
    workspace: Workspace, job: WriteJob
) -> None:
    workspace.jobs.submit(job("command: 'true'"), name="training-7")
    with pytest.raises(NotFound, match=r"training-8.*\n.*training-7"):
        workspace.jobs.get("training-8")
    workspace.jobs.wait("training-7", timeout=60)


def test_a_job_submitted_for_reuse_takes_over_what_was_done_before(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("1\n")
    text = f"""
        command: echo run >> {tmp_path}/runs; cp ${{{{inputs.i}}}} ${{{{outputs.o}}}}
        inputs: {{i: {{type: uri_file, path: ./in.csv}}}}
        outputs: {{o: {{type: uri_file}}}}
    """
    first = run(workspace, job, text)
    again = workspace.jobs.submit(job(text), reuse=True)
    assert again.status is JobStatus.COMPLETED
    assert again.reused_from == first.name
    assert again.outputs == first.outputs
    assert first.name in workspace.jobs.log(again.name)

    (tmp_path / "in.csv").write_text("2\n")
    other = workspace.jobs.wait(workspace.jobs.submit(job(text), reuse=True).name, timeout=60)
    assert other.reused_from is None
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_a_registered_model_remembers_job_data_and_code(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.sh").write_text("cp $1 $2/weights")
    (tmp_path / "in.csv").write_text("1\n")
    data = workspace.data.register("flights", str(tmp_path / "in.csv"), type="uri_file")
    record = run(
        workspace,
        job,
        """
        command: bash train.sh ${{inputs.i}} ${{outputs.model}}
        code: ./src
        inputs: {i: {type: uri_file, path: "azureml:flights@latest"}}
        outputs: {model: {type: custom_model, name: delays}}
        """,
    )
    model = workspace.models.get("delays")
    assert model.job == record.name
    assert list(model.data) == [data.reference]
    assert (model.code or "").startswith("sha256:")


OPEN_COMMAND = """
type: command
command: cat ${{inputs.rows}}
environment: azureml:any@latest
inputs: {rows: {type: uri_file}}
"""
OPEN_PIPELINE = """
type: pipeline
settings: {default_compute: azureml:cpu}
inputs: {rows: {type: uri_file}}
jobs:
  one:
    command: cat ${{inputs.rows}}
    environment: azureml:any@latest
    inputs: {rows: "${{parent.inputs.rows}}"}
"""


@pytest.mark.parametrize("text", [OPEN_COMMAND, OPEN_PIPELINE], ids=["command", "pipeline"])
def test_an_input_without_a_path_is_set_when_the_job_is_submitted(
    workspace: Workspace, tmp_path: Path, text: str
) -> None:
    file, rows = tmp_path / "job.yml", tmp_path / "rows.csv"
    file.write_text(text)
    rows.write_text("a\n")
    with pytest.raises(InvalidRequest, match=r"inputs\.rows is required and is not given"):
        workspace.jobs.submit(load_job(file))
    given = load_job(file, overrides={"inputs.rows.path": "rows.csv"})
    record = workspace.jobs.submit(given)
    assert workspace.jobs.wait(record.name, timeout=60).status is JobStatus.COMPLETED
