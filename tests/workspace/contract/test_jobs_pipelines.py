"""What a workspace promises of pipelines."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.errors import InvalidRequest, MlopsError, NotFound, Unsupported
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, until

TWO_STEPS = """
    type: pipeline
    settings: {default_compute: "azureml:cpu"}
    inputs: {rows: 3}
    outputs: {total: {type: uri_file}}
    jobs:
      add:
        command: wc -l < ${{inputs.table}} > ${{outputs.total}}; echo added
        inputs: {table: "${{parent.jobs.make.outputs.table}}"}
        outputs: {total: "${{parent.outputs.total}}"}
      make:
        command: seq ${{inputs.rows}} > ${{outputs.table}}; echo made
        inputs: {rows: "${{parent.inputs.rows}}"}
        outputs: {table: {type: uri_file}}
"""


def run(workspace: Workspace, job: WriteJob, text: str) -> JobRecord:
    submitted = workspace.jobs.submit(job(text))
    return workspace.jobs.wait(submitted.name, timeout=60)


def steps_of(workspace: Workspace, record: JobRecord) -> dict[str, JobRecord]:
    return {step.step or "": step for step in workspace.jobs.list(parent=record.name)}


def test_steps_run_in_the_order_of_their_bindings(workspace: Workspace, job: WriteJob) -> None:
    record = run(workspace, job, TWO_STEPS)
    assert (record.type, record.status, record.error) == ("pipeline", JobStatus.COMPLETED, None)
    path = workspace.data.local_path(record.outputs["total"].uri)
    assert path.read_text().strip() == "3"
    steps = steps_of(workspace, record)
    assert {step.status for step in steps.values()} == {JobStatus.COMPLETED}
    assert {step.parent for step in steps.values()} == {record.name}
    made, added = steps["make"].ended_at, steps["add"].started_at
    assert made is not None
    assert added is not None
    assert made <= added


def test_the_steps_are_known_from_the_start_and_are_no_jobs_of_their_own(
    workspace: Workspace, job: WriteJob
) -> None:
    record = workspace.jobs.submit(job(TWO_STEPS))
    assert set(steps_of(workspace, record)) == {"add", "make"}
    assert [found.name for found in workspace.jobs.list()] == [record.name]
    workspace.jobs.wait(record.name, timeout=60)


def test_the_lines_of_the_steps_are_streamed_under_their_names(
    workspace: Workspace, job: WriteJob
) -> None:
    record = workspace.jobs.submit(job(TWO_STEPS))
    said = [(line.step, line.text) for line in workspace.jobs.stream(record.name) if line.step]
    assert said == [("make", "made"), ("add", "added")]


FAILING = """
    type: pipeline
    settings: {{continue_on_step_failure: {goes_on}}}
    jobs:
      bad:
        command: echo looking; echo no such airport; exit 4
        outputs: {{o: {{type: uri_file}}}}
      after:
        command: cat ${{{{inputs.i}}}}
        inputs: {{i: "${{{{parent.jobs.bad.outputs.o}}}}"}}
      aside:
        command: sleep {seconds}; echo done > ${{{{outputs.o}}}}
        outputs: {{o: {{type: uri_file}}}}
      beyond:
        command: cat ${{{{inputs.i}}}}
        inputs: {{i: "${{{{parent.jobs.aside.outputs.o}}}}"}}
"""


def test_a_failed_step_is_named_and_what_needs_it_is_not_run(
    workspace: Workspace, job: WriteJob
) -> None:
    record = run(workspace, job, FAILING.format(goes_on="true", seconds=0.3))
    assert record.status is JobStatus.FAILED
    assert record.error == "Step bad failed: Its command exited with status 4: no such airport"
    (bad,) = [step for step in workspace.jobs.list(parent=record.name) if step.step == "bad"]
    assert "looking\nno such airport" in workspace.jobs.log(bad.name)
    # Its lines are followed with the pipeline's own, which only says which step it was, and why.
    assert "looking" not in workspace.jobs.log(record.name)
    assert record.error in workspace.jobs.log(record.name)
    steps = steps_of(workspace, record)
    assert {name: step.status for name, step in steps.items()} == {
        "bad": JobStatus.FAILED,
        "after": JobStatus.CANCELED,
        "aside": JobStatus.COMPLETED,
        "beyond": JobStatus.COMPLETED,
    }
    assert "step bad" in (steps["after"].error or "")
    assert steps["after"].started_at is None


def test_where_a_failure_ends_the_pipeline_running_steps_are_canceled(
    workspace: Workspace, job: WriteJob
) -> None:
    record = run(workspace, job, FAILING.format(goes_on="false", seconds=1000))
    assert record.status is JobStatus.FAILED
    steps = steps_of(workspace, record)
    assert {name: step.status for name, step in steps.items()} == {
        "bad": JobStatus.FAILED,
        "after": JobStatus.CANCELED,
        "aside": JobStatus.CANCELED,
        "beyond": JobStatus.CANCELED,
    }


def test_canceling_a_pipeline_ends_its_steps(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"""
        type: pipeline
        jobs:
          long:
            command: touch {tmp_path}/begun; sleep 1000
            outputs: {{o: {{type: uri_folder}}}}
          later:
            command: ls ${{{{inputs.i}}}}
            inputs: {{i: "${{{{parent.jobs.long.outputs.o}}}}"}}
    """
    record = workspace.jobs.submit(job(text))
    until((tmp_path / "begun").exists)
    workspace.jobs.cancel(record.name)
    assert workspace.jobs.wait(record.name, timeout=30).status is JobStatus.CANCELED
    assert {step.status for step in steps_of(workspace, record).values()} == {JobStatus.CANCELED}


def test_canceling_one_step_leaves_the_others_alone(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    text = f"""
        type: pipeline
        jobs:
          long: {{command: "touch {tmp_path}/begun; sleep 1000"}}
          short: {{command: "true"}}
    """
    record = workspace.jobs.submit(job(text))
    until((tmp_path / "begun").exists)
    workspace.jobs.cancel(steps_of(workspace, record)["long"].name)
    workspace.jobs.wait(record.name, timeout=30)
    steps = steps_of(workspace, record)
    assert steps["long"].status is JobStatus.CANCELED
    assert steps["short"].status is JobStatus.COMPLETED


def test_a_step_is_reused_until_something_it_depends_on_changes(
    workspace: Workspace, job: WriteJob
) -> None:
    first = run(workspace, job, TWO_STEPS)
    second = run(workspace, job, TWO_STEPS)
    assert second.outputs["total"].uri == first.outputs["total"].uri
    before = steps_of(workspace, first)
    for name, step in steps_of(workspace, second).items():
        assert step.reused_from == before[name].name
    changed = run(workspace, job, TWO_STEPS.replace("echo added", "echo counted"))
    steps = steps_of(workspace, changed)
    assert steps["make"].reused_from == before["make"].name
    assert steps["add"].reused_from is None


def test_an_upstream_step_that_writes_the_same_again_lets_what_follows_be_reused(
    workspace: Workspace, job: WriteJob
) -> None:
    run(workspace, job, TWO_STEPS)
    text = TWO_STEPS.replace("echo made", "echo made otherwise")
    steps = steps_of(workspace, run(workspace, job, text))
    assert steps["make"].reused_from is None
    assert steps["add"].reused_from is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("settings: {", "settings: {force_rerun: true, "),
        ("wc -l", "date +%N > /dev/null; wc -l"),
    ],
    ids=["forced", "another command"],
)
def test_a_step_is_not_reused_where_it_may_differ(
    workspace: Workspace, job: WriteJob, old: str, new: str
) -> None:
    run(workspace, job, TWO_STEPS)
    again = run(workspace, job, TWO_STEPS.replace(old, new))
    assert steps_of(workspace, again)["add"].reused_from is None


def test_a_pipeline_inside_a_pipeline_runs_by_the_same_rules(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "inner.yml").write_text(
        """
type: pipeline
inputs:
  text: {type: string}
outputs:
  said: {type: uri_file}
jobs:
  say:
    type: command
    command: echo ${{inputs.text}} > ${{outputs.said}}
    environment: azureml:any@latest
    inputs: {text: "${{parent.inputs.text}}"}
    outputs: {said: "${{parent.outputs.said}}"}
"""
    )
    record = run(
        workspace,
        job,
        """
        type: pipeline
        inputs: {greeting: hello there}
        outputs: {shown: {type: uri_file}}
        jobs:
          inner:
            type: pipeline
            component: ./inner.yml
            inputs: {text: "${{parent.inputs.greeting}}"}
            outputs: {said: {type: uri_file}}
          show:
            command: tr a-z A-Z < ${{inputs.i}} > ${{outputs.o}}
            inputs: {i: "${{parent.jobs.inner.outputs.said}}"}
            outputs: {o: "${{parent.outputs.shown}}"}
        """,
    )
    assert record.error is None
    assert workspace.data.local_path(record.outputs["shown"].uri).read_text() == "HELLO THERE\n"
    steps = steps_of(workspace, record)
    assert (steps["inner"].type, steps["inner"].status) == ("pipeline", JobStatus.COMPLETED)
    assert set(steps_of(workspace, steps["inner"])) == {"say"}
    assert set(steps["inner"].outputs) == {"said"}


def test_a_pipelines_output_goes_where_the_yaml_says_and_registers_itself(
    workspace: Workspace, job: WriteJob
) -> None:
    place = "azureml://datastores/workspaceblobstore/paths/totals/today"
    text = TWO_STEPS.replace(
        "total: {type: uri_file}", f"total: {{type: uri_file, path: '{place}', name: totals}}"
    )
    record = run(workspace, job, text)
    assert record.outputs["total"].uri == place
    assert record.outputs["total"].asset == "azureml:totals:1"
    assert workspace.data.get("totals").uri == place


def test_the_first_and_the_last_step_run_before_and_after_all_others_whatever_fails(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    step = "command: 'echo {0} >> {1}/order; exit {2}'"
    text = f"""
        type: pipeline
        settings: {{on_init: first, on_finalize: last, continue_on_step_failure: false}}
        jobs:
          last: {{{step.format("last", tmp_path, 0)}}}
          middle: {{{step.format("middle", tmp_path, 1)}}}
          first: {{{step.format("first", tmp_path, 0)}}}
    """
    record = workspace.jobs.wait(workspace.jobs.submit(job(text)).name, timeout=60)
    assert record.status is JobStatus.FAILED
    assert (tmp_path / "order").read_text().split() == ["first", "middle", "last"]
    steps = {step.step: step.status for step in workspace.jobs.list(parent=record.name)}
    assert steps["last"] is JobStatus.COMPLETED


def test_where_the_first_step_fails_only_the_last_one_runs(
    workspace: Workspace, job: WriteJob
) -> None:
    text = """
        type: pipeline
        settings: {on_init: first, on_finalize: last}
        jobs:
          last: {command: 'true'}
          middle: {command: 'true'}
          first: {command: exit 1}
    """
    record = workspace.jobs.wait(workspace.jobs.submit(job(text)).name, timeout=60)
    steps = {step.step: step for step in workspace.jobs.list(parent=record.name)}
    assert steps["middle"].status is JobStatus.CANCELED
    assert steps["middle"].error == "It was not run: step first failed."
    assert steps["last"].status is JobStatus.COMPLETED


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_step_runs_without_an_optional_input_whose_step_failed_where_it_may(
    workspace: Workspace, job: WriteJob, tmp_path: Path, goes_on: bool
) -> None:
    (tmp_path / "opt.yml").write_text(
        "type: command\nname: opt\nenvironment: azureml:any@latest\n"
        "inputs: {x: {type: uri_file, optional: true}}\n"
        "command: echo ran $[[with ${{inputs.x}}]]\n"
    )
    text = f"""
        type: pipeline
        settings: {{continue_run_on_failed_optional_input: {str(goes_on).lower()}}}
        jobs:
          a: {{command: exit 3, outputs: {{o: {{type: uri_file}}}}}}
          b:
            type: command
            component: opt.yml
            inputs: {{x: "${{{{parent.jobs.a.outputs.o}}}}"}}
    """
    record = workspace.jobs.wait(workspace.jobs.submit(job(text)).name, timeout=60)
    assert record.status is JobStatus.FAILED
    steps = {step.step: step for step in workspace.jobs.list(parent=record.name)}
    if goes_on:
        assert workspace.jobs.log(steps["b"].name) == "ran\n"
    else:
        assert steps["b"].status is JobStatus.CANCELED


def test_an_optional_input_that_is_not_given_leaves_its_part_of_the_command_out(
    workspace: Workspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "show.yml").write_text(
        """
type: command
name: show
inputs:
  rate: {type: number, default: 0.5}
  note: {type: string, optional: true}
command: echo rate=${{inputs.rate}} $[[note=${{inputs.note}}]]
environment: azureml:any@latest
"""
    )
    record = run(
        workspace,
        job,
        "type: pipeline\njobs: {one: {component: ./show.yml}, "
        "two: {component: ./show.yml, inputs: {note: hi}}}",
    )
    steps = steps_of(workspace, record)
    assert workspace.jobs.log(steps["one"].name).strip() == "rate=0.5"
    assert workspace.jobs.log(steps["two"].name).strip() == "rate=0.5 note=hi"
    assert steps["one"].properties["mlops.component"] == "show"


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("{command: cat, inputs: {i: {type: uri_file, path: ./no.csv}}}", NotFound, "no.csv"),
        ("{command: ls, compute: azureml:cpu, code: ./nowhere}", MlopsError, "nowhere"),
        ("{type: automl, task: classification}", Unsupported, "AutoML"),
        (
            "{command: ls, resources: {instance_count: none}}",
            InvalidRequest,
            "instance_count",
        ),
    ],
)
def test_one_bad_step_and_nothing_is_started(
    workspace: Workspace,
    job: WriteJob,
    tmp_path: Path,
    body: str,
    kind: type[MlopsError],
    said: str,
) -> None:
    text = f"type: pipeline\njobs: {{good: {{command: touch {tmp_path}/ran}}, bad: {body}}}"
    with pytest.raises(kind, match=said):
        workspace.jobs.submit(job(text))
    assert workspace.jobs.list() == []
    assert not (tmp_path / "ran").exists()


def test_a_literal_that_does_not_fit_a_steps_input_is_refused_before_anything_runs(
    workspace: Workspace, job: WriteJob
) -> None:
    loaded = job("""
        type: pipeline
        settings: {default_compute: azureml:cpu}
        inputs: {n: 1}
        jobs:
          one:
            component:
              type: command
              command: echo ${{inputs.n}}
              environment: azureml:any@latest
              inputs: {n: {type: integer, max: 5}}
            inputs: {n: "${{parent.inputs.n}}"}
    """)
    wrong = loaded.step.model_copy(update={"inputs": {"n": InputValue(value=9)}})
    with pytest.raises(InvalidRequest, match=r"jobs\.one\.inputs\.n is 9; expected at most 5"):
        workspace.jobs.submit(loaded.model_copy(update={"step": wrong}))
    assert workspace.jobs.list() == []
