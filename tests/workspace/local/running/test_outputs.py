"""Outputs with a path of their own: what lies there, other steps, registered versions, reuse."""

from __future__ import annotations

from pathlib import Path

from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord
from tests.workspace.conftest import WriteJob

DATASTORE = "azureml://datastores/workspaceblobstore/paths"


def run(local: LocalWorkspace, job: WriteJob, text: str, **settings: object) -> JobRecord:
    submitted = local.jobs.submit(job(text, **settings))
    record = local.jobs.wait(submitted.name, timeout=60)
    assert record.status == "Completed", record.error
    return record


def contents(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_text().strip()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_job_adds_its_files_to_what_lies_at_its_outputs_path(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        command: echo {month} > ${{{{outputs.scores}}}}/{month}.csv
        outputs: {{scores: {{type: uri_folder, path: "{store}/scores"}}}}
    """
    for month in ("september", "october"):
        run(local, job, text.format(month=month, store=DATASTORE))
    folder = local.data.local_path(f"{DATASTORE}/scores")
    assert contents(folder) == {"september.csv": "september", "october.csv": "october"}


def test_two_steps_that_write_to_one_path_both_keep_their_files(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = f"""
        type: pipeline
        jobs:
          one:
            command: echo 1 > ${{{{outputs.out}}}}/one.csv
            outputs: {{out: {{type: uri_folder, path: "{DATASTORE}/shared"}}}}
          two:
            command: echo 2 > ${{{{outputs.out}}}}/two.csv
            outputs: {{out: {{type: uri_folder, path: "{DATASTORE}/shared"}}}}
    """
    run(local, job, text)
    folder = local.data.local_path(f"{DATASTORE}/shared")
    assert contents(folder) == {"one.csv": "1", "two.csv": "2"}


def test_versions_that_jobs_registered_from_one_path_stay_what_they_were(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        command: echo {value} > ${{{{outputs.data}}}}/value.txt
        outputs: {{data: {{type: uri_folder, name: mydata, path: "{store}/mydata"}}}}
    """
    for value in (1, 2):
        run(local, job, text.format(value=value, store=DATASTORE))
    record = run(
        local,
        job,
        """
        command: cat ${{inputs.a}}/value.txt ${{inputs.b}}/value.txt
        inputs:
          a: {type: uri_folder, path: azureml:mydata:1}
          b: {type: uri_folder, path: azureml:mydata:2}
        """,
    )
    assert local.jobs.log(record.name) == "1\n2\n"


def test_a_step_is_not_reused_once_another_job_has_written_to_its_path(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        type: pipeline
        jobs:
          write:
            command: echo {value} > ${{{{outputs.data}}}}/value.txt
            outputs: {{data: {{type: uri_folder, path: "{store}/latest"}}}}
    """
    for value in (1, 2, 1):
        run(local, job, text.format(value=value, store=DATASTORE))
    folder = local.data.local_path(f"{DATASTORE}/latest")
    assert contents(folder) == {"value.txt": "1"}


def test_outputs_without_a_path_go_to_the_pipelines_default_datastore(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        type: pipeline
        settings: {default_datastore: azureml:workspacefilestore}
        jobs:
          write:
            command: echo 1 > ${{outputs.out}}/x
            outputs: {out: {type: uri_folder}}
    """
    record = run(local, job, text)
    (step,) = local.jobs.list(parent=record.name)
    uri = f"azureml://datastores/workspacefilestore/paths/azureml/{step.name}/out/"
    assert step.outputs["out"].uri == uri
    assert contents(local.data.local_path(uri)) == {"x": "1"}


def test_links_in_outputs_and_logs_are_kept_as_what_they_point_to(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("elsewhere")
    record = run(
        local,
        job,
        f"""
        command: >-
          mkdir best && echo 1 > best/model &&
          ln -s ../best outputs/model && ln -s "$PWD/best/model" logs/same &&
          ln -s "{tmp_path}/elsewhere" outputs/elsewhere
        """,
    )
    local.jobs.download(record.name, tmp_path / "got")
    assert contents(tmp_path / "got/artifacts/outputs") == {
        "model/model": "1",
        "elsewhere": "elsewhere",
    }
    assert (tmp_path / "got/artifacts/logs/same").read_text() == "1\n"


def test_outputs_may_be_a_link_itself(local: LocalWorkspace, job: WriteJob, tmp_path: Path) -> None:
    command = "mkdir results && echo 1 > results/model && rmdir outputs && ln -s results outputs"
    record = run(local, job, f"command: {command}")
    local.jobs.download(record.name, tmp_path / "got")
    assert contents(tmp_path / "got/artifacts/outputs") == {"model": "1"}


def test_a_link_to_a_device_is_left_out_and_said_and_a_download_does_not_follow_one(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    record = run(
        local,
        job,
        """
        command: >-
          ln -s /dev/zero outputs/zero && mkfifo outputs/pipe && ln -s gone outputs/nothing &&
          ln -s . outputs/round && echo 1 > outputs/kept
        """,
    )
    log = local.jobs.log(record.name)
    for reason in (
        "Left out of ./outputs: /dev/zero is neither a file nor a folder.",
        "nothing that leads to nothing.",
        "round that leads around in a circle.",
        "Left out of ./outputs: pipe is neither a file nor a folder.",
    ):
        assert reason in log
    kept = local.data.local_path(f"azureml:{record.name}:outputs.artifacts")
    (kept / "outputs/zero").symlink_to("/dev/zero")  # as an earlier version kept it
    local.jobs.download(record.name, tmp_path / "got")
    assert contents(tmp_path / "got/artifacts/outputs") == {"kept": "1"}


def test_the_output_named_artifacts_is_what_a_step_left_in_outputs_and_logs(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        type: pipeline
        jobs:
          write:
            command: echo 1 > outputs/number.txt; echo 2 > ${{outputs.artifacts}}/more.txt
            outputs: {artifacts: {type: uri_folder}}
          read:
            command: cat ${{inputs.before}}/outputs/number.txt ${{inputs.before}}/more.txt
            inputs: {before: {path: "${{parent.jobs.write.outputs.artifacts}}"}}
    """
    record = run(local, job, text)
    (step,) = [each for each in local.jobs.list(parent=record.name) if each.step == "read"]
    assert local.jobs.log(step.name) == "1\n2\n"


def test_a_file_output_that_was_written_as_a_folder_is_kept(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = f"""
        command: mkdir ${{{{outputs.out}}}} && echo 1 > ${{{{outputs.out}}}}/part-0
        outputs: {{out: {{type: uri_file, name: parts, path: "{DATASTORE}/table.parquet"}}}}
    """
    for _ in range(2):
        record = run(local, job, text)
        assert contents(local.data.local_path(record.outputs["out"].uri)) == {"part-0": "1"}
        assert "The output 'out' (uri_file) is a folder." in local.jobs.log(record.name)
    assert local.data.get("parts").type == "uri_folder"
