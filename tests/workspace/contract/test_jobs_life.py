"""What a workspace promises of the rest of a job's life: validated, resumed, archived."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.errors import Conflict, InvalidRequest, MlopsError, NotFound
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, until

MENDABLE = """
    type: pipeline
    outputs: {all: {type: uri_file}}
    jobs:
      draw:
        command: echo $RANDOM$RANDOM >> PLACE/drawn; tail -1 PLACE/drawn > ${{outputs.number}}
        is_deterministic: false
        outputs: {number: {type: uri_file}}
      nested:
        type: pipeline
        component: ./nested.yml
        inputs: {number: "${{parent.jobs.draw.outputs.number}}"}
      join:
        command: cat ${{inputs.a}} ${{inputs.b}} > ${{outputs.all}}
        inputs:
          a: "${{parent.jobs.draw.outputs.number}}"
          b: "${{parent.jobs.nested.outputs.out}}"
        outputs: {all: "${{parent.outputs.all}}"}
"""
NESTED = """
type: pipeline
name: nested
version: 1
inputs: {number: {type: uri_file}}
outputs: {out: {type: uri_file}}
jobs:
  use:
    type: command
    environment: azureml:any@latest
    command: echo tried >> PLACE/tried; test -f PLACE/mended && cat ${{inputs.number}} > ${{outputs.out}}
    inputs: {number: "${{parent.inputs.number}}"}
    outputs: {out: "${{parent.outputs.out}}"}
"""


@pytest.fixture
def failed(workspace: Workspace, job: WriteJob, tmp_path: Path) -> JobRecord:
    """A pipeline whose nested step failed after one that is not deterministic."""
    (tmp_path / "nested.yml").write_text(NESTED.replace("PLACE", str(tmp_path)))
    asked = job(MENDABLE.replace("PLACE", str(tmp_path)))
    workspace.jobs.submit(asked, name="first", tags={"team": "a"})
    record = workspace.jobs.wait("first", timeout=60)
    assert record.status is JobStatus.FAILED
    return record


def test_a_resumed_pipeline_runs_what_failed_and_what_is_behind_it(
    workspace: Workspace, failed: JobRecord, tmp_path: Path
) -> None:
    (tmp_path / "mended").touch()
    record = workspace.jobs.resume("first")
    assert record.name == "first_r2"
    record = workspace.jobs.wait(record.name, timeout=60)
    assert (record.status, record.error) == (JobStatus.COMPLETED, None)
    assert (record.experiment, dict(record.tags)) == (failed.experiment, {"team": "a"})
    steps = {step.step: step for step in workspace.jobs.list(parent=record.name)}
    assert steps["draw"].reused_from == "first_draw"
    assert "first_draw completed in the pipeline" in workspace.jobs.log(steps["draw"].name)
    assert steps["join"].reused_from is None
    (drawn,) = (tmp_path / "drawn").read_text().split()
    path = workspace.data.local_path(record.outputs["all"].uri)
    assert path.read_text().split() == [drawn, drawn]
    assert "first" not in record.outputs["all"].uri.replace("first_r2", "")
    said = "This resumes first: 1 step completed there and is taken over, 2 steps to run."
    assert said in workspace.jobs.log(record.name)


def test_a_resumed_pipeline_can_fail_and_be_resumed_again(
    workspace: Workspace, failed: JobRecord, tmp_path: Path
) -> None:
    again = workspace.jobs.wait(workspace.jobs.resume("first").name, timeout=60)
    assert again.status is JobStatus.FAILED
    (tmp_path / "mended").touch()
    third = workspace.jobs.wait(workspace.jobs.resume(again.name).name, timeout=60)
    assert (third.name, third.status) == ("first_r3", JobStatus.COMPLETED)
    assert len((tmp_path / "drawn").read_text().split()) == 1
    assert len((tmp_path / "tried").read_text().split()) == 3


def test_what_is_gone_is_made_again_with_all_behind_it(
    workspace: Workspace, failed: JobRecord, tmp_path: Path
) -> None:
    (tmp_path / "mended").touch()
    (draw,) = [step for step in workspace.jobs.list(parent="first") if step.step == "draw"]
    workspace.data.local_path(draw.outputs["number"].uri).unlink()
    record = workspace.jobs.wait(workspace.jobs.resume("first").name, timeout=60)
    assert record.status is JobStatus.COMPLETED
    _, drawn = (tmp_path / "drawn").read_text().split()
    path = workspace.data.local_path(record.outputs["all"].uri)
    assert path.read_text().split() == [drawn, drawn]


def test_resuming_is_idempotent_by_the_new_name(
    workspace: Workspace, failed: JobRecord, tmp_path: Path
) -> None:
    (tmp_path / "mended").touch()
    once = workspace.jobs.resume("first", new_name="second")
    assert workspace.jobs.resume("first", new_name="second").created_at == once.created_at
    workspace.jobs.wait("second", timeout=60)
    with pytest.raises(Conflict, match="first"):
        workspace.jobs.resume("first", new_name="first")


def test_a_canceled_pipeline_is_resumed_where_it_was(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = """
        type: pipeline
        jobs:
          one:
            command: echo one > ${{outputs.o}}
            outputs: {o: {type: uri_file}}
          two:
            command: touch PLACE/began; test -f PLACE/quick || sleep 1000; cat ${{inputs.i}}
            inputs: {i: "${{parent.jobs.one.outputs.o}}"}
    """
    workspace.jobs.submit(job(text.replace("PLACE", str(tmp_path))), name="slow")
    with pytest.raises(Conflict, match="has not ended"):
        workspace.jobs.resume("slow")
    until((tmp_path / "began").exists)
    workspace.jobs.cancel("slow")
    assert workspace.jobs.wait("slow", timeout=60).status is JobStatus.CANCELED
    (tmp_path / "quick").touch()
    record = workspace.jobs.wait(workspace.jobs.resume("slow").name, timeout=60)
    assert record.status is JobStatus.COMPLETED
    steps = {step.step: step.reused_from for step in workspace.jobs.list(parent=record.name)}
    assert steps == {"one": "slow_one", "two": None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command: 'false'", "no pipeline"),
        ("{type: pipeline, jobs: {a: {command: 'true'}}}", "has completed"),
    ],
)
def test_what_cannot_be_resumed_is_refused(
    workspace: Workspace, job: WriteJob, text: str, said: str
) -> None:
    workspace.jobs.submit(job(text), name="done")
    workspace.jobs.wait("done", timeout=60)
    with pytest.raises(InvalidRequest, match=said):
        workspace.jobs.resume("done")
    with pytest.raises(NotFound, match="don"):
        workspace.jobs.resume("don")


def test_a_valid_job_is_validated_and_nothing_is_started_or_copied(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("print(1)")
    (tmp_path / "rows.csv").write_text("1\n")
    text = """
        command: "true"
        code: ./src
        inputs: {rows: {type: uri_file, path: ./rows.csv}}
        queue_settings: {job_tier: spot}
    """
    notes = workspace.jobs.validate(job(text))
    assert any("queue_settings" in note for note in notes)
    assert workspace.jobs.list() == []
    submitted = workspace.jobs.submit(job(text))
    assert workspace.jobs.wait(submitted.name, timeout=60).status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{command: 'true', inputs: {i: {type: uri_file, path: azureml:no@latest}}}", "no"),
        ("{command: 'true', code: ./nowhere}", "nowhere"),
        ("{command: 'true', resources: {instance_count: 0}}", "instance_count"),
        ("{command: 'true', name: 'a b'}", "a b"),
    ],
)
def test_what_submitting_would_refuse_validating_refuses(
    workspace: Workspace, job: WriteJob, text: str, said: str
) -> None:
    with pytest.raises(MlopsError, match=said):
        workspace.jobs.validate(job(text))


def test_what_describes_a_job_can_be_changed_and_added_to(
    workspace: Workspace, job: WriteJob
) -> None:
    workspace.jobs.submit(job("command: 'true'\ntags: {kept: a}"), name="named")
    before = workspace.jobs.wait("named", timeout=60)
    after = workspace.jobs.update(
        "named", display_name="shown", tags={"stage": "dev"}, properties={"p": "q"}
    )
    assert (after.display_name, after.description) == ("shown", before.description)
    assert after.tags == {**before.tags, "stage": "dev"}
    assert after.properties == {**before.properties, "p": "q"}
    assert workspace.jobs.update("named") == after
    with pytest.raises(NotFound):
        workspace.jobs.update("none", tags={"a": "b"})


def test_a_job_is_submitted_by_its_files_path(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "by-path.yml"
    file.write_text("type: command\ncommand: 'true'\nenvironment: azureml:any@latest\n")
    assert workspace.jobs.validate(str(file)) is not None
    record = workspace.jobs.submit(file, name="by-path")
    assert workspace.jobs.wait(record.name, timeout=60).status is JobStatus.COMPLETED


def test_an_archived_job_is_listed_only_where_asked_for(
    workspace: Workspace, job: WriteJob
) -> None:
    for name in ("kept", "put-away"):
        workspace.jobs.submit(job("command: 'true'"), name=name)
        workspace.jobs.wait(name, timeout=60)
    assert workspace.jobs.archive("put-away").archived
    assert workspace.jobs.archive("put-away").archived
    assert [found.name for found in workspace.jobs.list()] == ["kept"]
    listed = workspace.jobs.list(archived=True)
    assert [found.name for found in listed] == ["put-away", "kept"]
    assert workspace.jobs.get("put-away").status is JobStatus.COMPLETED
    assert not workspace.jobs.restore("put-away").archived
    assert len(workspace.jobs.list()) == 2
    with pytest.raises(NotFound):
        workspace.jobs.archive("none")
