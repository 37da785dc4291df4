from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.aml import load_job
from mlops_dagster.aml.graph import (
    GivenValue,
    PipelineInput,
    StepOutput,
    dependencies,
    order,
    step_job,
    upstreams,
)
from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import CommandComponent, Job, PipelineComponent, Step
from mlops_dagster.errors import InvalidRequest, NotFound
from tests.aml.conftest import Write

PIPELINE = """
    type: pipeline
    experiment_name: nights
    tags: {team: flights}
    inputs:
      rows: {type: uri_file, path: "azureml:rows:1", mode: download}
      rate: 0.1
      where: big
      nodes: 2
    outputs:
      model: {type: mlflow_model, name: delays, path: "azureml://datastores/a/paths/b"}
    settings:
      default_compute: azureml:cpu
      default_datastore: azureml:store
      force_rerun: true
    jobs:
      train:
        component: ./train.yml
        inputs:
          rows: {path: "${{parent.jobs.prepare.outputs.rows}}", mode: ro_mount}
          rate: ${{parent.inputs.rate}}
          label: rate ${{parent.inputs.rate}}
        outputs:
          model: ${{parent.outputs.model}}
        compute: ${{parent.inputs.where}}
        resources: {instance_count: "${{parent.inputs.nodes}}"}
        environment_variables: {RATE: "${{parent.inputs.rate}}"}
      prepare:
        command: run ${{inputs.rows}} ${{outputs.rows}}
        environment: azureml:e:1
        inputs:
          rows: ${{parent.inputs.rows}}
        outputs:
          rows: {type: uri_folder}
"""
TRAIN = """
    name: train
    command: run
    environment: azureml:e:1
    inputs:
      rows: {type: uri_folder}
      rate: {type: number}
      label: {type: string}
    outputs:
      model: {type: mlflow_model}
      log: {type: uri_file}
"""


@pytest.fixture
def job(write: Write) -> Job:
    return load_job(write({"it.yml": PIPELINE, "train.yml": TRAIN}))


@pytest.fixture
def pipeline(job: Job) -> PipelineComponent:
    assert isinstance(job.step.component, PipelineComponent)
    return job.step.component


def test_each_input_of_a_step_has_a_source(pipeline: PipelineComponent) -> None:
    assert upstreams(pipeline) == {
        "train": {
            "rows": StepOutput("prepare", "rows"),
            "rate": PipelineInput("rate"),
            "label": GivenValue(InputValue(value="rate ${{parent.inputs.rate}}")),
        },
        "prepare": {"rows": PipelineInput("rows")},
    }


def test_steps_come_after_those_that_they_take_from(pipeline: PipelineComponent) -> None:
    assert order(pipeline) == ["prepare", "train"]
    assert list(dependencies(pipeline)["train"]) == ["prepare"]


def test_a_cycle_made_by_hand_is_refused_with_its_steps() -> None:
    def step(name: str, after: str) -> Step:
        value = InputValue(value=f"${{{{parent.jobs.{after}.outputs.o}}}}")
        return Step(name=name, component=CommandComponent(command="run"), inputs={"x": value})

    pipeline = PipelineComponent(
        jobs={"a": step("a", "c"), "b": step("b", "a"), "c": step("c", "b")}
    )

    with pytest.raises(InvalidRequest, match="a -> b -> c -> a"):
        order(pipeline)


def test_a_step_becomes_a_job_with_the_pipelines_values_folded_in(job: Job) -> None:
    alone = step_job(job, "train", {"rows": InputValue(type="uri_folder", path="azureml:p:7")})

    assert alone.step.inputs == {
        "rows": InputValue(type="uri_folder", path="azureml:p:7"),
        "rate": InputValue(value=0.1),
        "label": InputValue(value="rate 0.1"),
    }
    assert alone.step.compute == "big"
    assert alone.step.resources is not None
    assert alone.step.resources.instance_count == "2"
    assert alone.step.environment_variables == {"RATE": "0.1"}
    assert alone.step.outputs["model"].name == "delays"
    assert alone.step.outputs["model"].path == "azureml://datastores/a/paths/b"
    assert alone.step.outputs["log"].path == (
        "azureml://datastores/store/paths/azureml/${{name}}/log/"
    )
    assert (alone.experiment_name, alone.tags) == ("nights", {"team": "flights"})
    assert alone.display_name == "train"


def test_a_forced_rerun_and_the_default_compute_reach_a_step_alone(job: Job) -> None:
    alone = step_job(job, "prepare", {})

    assert alone.step.component.is_deterministic is False
    assert alone.step.compute == "cpu"
    assert alone.step.inputs["rows"] == InputValue(
        type="uri_file", path="azureml:rows:1", mode="download"
    )


def test_an_input_given_to_a_step_wins_over_the_pipelines(job: Job) -> None:
    alone = step_job(
        job,
        "train",
        {"rows": InputValue(path="azureml:p:7"), "rate": InputValue(value=0.9)},
    )

    assert alone.step.inputs["rate"].value == 0.9


def test_a_step_that_takes_from_another_says_what_it_needs(job: Job) -> None:
    with pytest.raises(InvalidRequest, match="is the output 'rows' of 'prepare'"):
        step_job(job, "train", {})
    with pytest.raises(NotFound, match="no step 'trian'"):
        step_job(job, "trian", {})


def test_a_step_of_a_nested_pipeline_inherits_the_settings() -> None:
    case = Path(__file__).parent / "conformance/job/pipeline-nested.yml"

    alone = step_job(load_job(case), "both", {})

    assert isinstance(alone.step.component, PipelineComponent)
    assert alone.step.component.settings.default_compute == "cpu-cluster"
    assert order(alone.step.component) == ["prepare", "train"]
