"""What a job's YAML becomes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.aml import load_component, load_job
from mlops_dagster.aml.inputs_outputs import (
    InputSpec,
    InputValue,
    OutputSpec,
    OutputValue,
    literal_text,
)
from mlops_dagster.aml.job import (
    CommandComponent,
    ComponentReference,
    DoWhile,
    IfElse,
    ParallelComponent,
    ParallelFor,
    PipelineComponent,
    UnsupportedComponent,
)
from mlops_dagster.errors import InvalidDocument
from tests.aml.conftest import Write

CASES = Path(__file__).parent / "conformance"


def pipeline_of(path: Path) -> PipelineComponent:
    component = load_job(path).step.component
    assert isinstance(component, PipelineComponent)
    return component


def test_a_command_job_declares_by_what_it_is_given() -> None:
    job = load_job(CASES / "job/command-inputs.yml")

    kinds = {name: spec.type for name, spec in job.step.component.inputs.items()}
    assert kinds == {
        "file": "uri_file", "folder": "uri_folder", "table": "mltable", "model": "mlflow_model",
        "stored": "uri_folder", "web": "uri_file", "whole": "integer", "rate": "number",
        "text": "string", "flag": "boolean", "wrapped": "integer",
    }  # fmt: skip
    given = job.step.inputs
    assert given["file"].path == str(CASES / "data/rows.csv")
    assert given["file"].mode == "download"
    assert given["folder"].path == "azureml:flights:3"
    assert given["model"].path == "azureml:delays@latest"
    assert given["web"].path == "https://example.com/rows.csv"
    assert [given[name].value for name in ("whole", "rate", "text", "flag", "wrapped")] == [
        3, 0.1, "two words", True, 7,
    ]  # fmt: skip


def test_a_job_keeps_its_header_and_where_it_runs() -> None:
    job = load_job(CASES / "job/command-header.yml")
    component = job.step.component

    assert isinstance(component, CommandComponent)
    assert (job.name, job.display_name, job.experiment_name) == (
        "nightly-1", "Nightly training", "nightly",
    )  # fmt: skip
    assert job.tags == {"team": "flights", "empty": None}
    assert job.step.compute == "cpu-cluster"
    assert component.code == str(CASES / "src")
    assert component.environment_variables == {"MODE": "fast", "RETRIES": "3"}
    assert component.limits is not None
    assert component.limits.timeout == 3600
    assert component.resources is not None
    assert component.resources.instance_count == 2
    assert job.step.identity == {"type": "managed"}
    assert set(job.step.services) == {"notebook", "board"}


def test_an_output_with_an_empty_body_is_a_folder() -> None:
    job = load_job(CASES / "job/command-outputs.yml")

    assert job.step.component.outputs["any"] == OutputSpec(type="uri_folder")
    assert job.step.outputs["any"] == OutputValue()
    assert job.step.outputs["model"] == OutputValue(type="mlflow_model", name="delays", version="4")


@pytest.mark.parametrize(
    ("case", "reference", "image", "conda"),
    [
        ("registered", "azureml:training:1", None, None),
        ("unversioned", "azureml:training", None, None),
        (
            "registry",
            "azureml://registries/azureml/environments/sklearn-1.5/labels/latest",
            None,
            None,
        ),
        ("image", None, "python:3.11-slim", None),
        ("conda-file", None, "python:3.11-slim", {"dependencies": [{"pip": ["pandas"]}]}),
        (
            "conda-inline",
            None,
            "python:3.11-slim",
            {"dependencies": ["python=3.11", {"pip": ["pandas"]}]},
        ),
    ],
)
def test_an_environment_is_named_or_described(
    case: str, reference: str | None, image: str | None, conda: object
) -> None:
    component = load_job(CASES / f"job/command-environment-{case}.yml").step.component

    assert isinstance(component, CommandComponent)
    assert component.environment is not None
    assert component.environment.reference == reference
    assert component.environment.image == image
    assert component.environment.conda == conda


def test_an_environment_in_a_file_starts_from_that_file() -> None:
    component = load_job(CASES / "job/command-environment-file.yml").step.component

    assert isinstance(component, CommandComponent)
    assert component.environment is not None
    assert component.environment.conda_file == CASES / "env/conda.yml"
    assert (component.environment.conda or {})["name"] == "training"


def test_paths_in_a_component_start_from_the_component(write: Write) -> None:
    path = write(
        {
            "jobs/it.yml": "type: pipeline\njobs:\n  a: {component: ../parts/a/a.yml}\n",
            "parts/a/a.yml": "name: a\ncommand: run\ncode: ../code\nenvironment: azureml:e:1\n",
            "parts/code/run.py": "",
        }
    )

    component = pipeline_of(path).jobs["a"].component

    assert isinstance(component, CommandComponent)
    assert component.code == str(path.parent.parent / "parts/code")
    assert component.source == path.parent.parent / "parts/a/a.yml"


def test_a_component_coerces_what_it_is_given_as_it_declares() -> None:
    step = pipeline_of(CASES / "job/pipeline-components.yml").jobs["prepare"]

    assert step.inputs["limit"].value == 10
    assert step.inputs["share"].value == 0.25
    assert step.inputs["rows"].value == "${{parent.inputs.rows}}"
    assert step.resources is not None
    assert step.resources.instance_count == 2
    assert step.environment_variables == {"MODE": "fast"}


def test_a_bare_text_is_a_path_where_the_component_declares_data(write: Write) -> None:
    path = write(
        {
            "it.yml": """
                type: pipeline
                jobs:
                  a: {component: ./a.yml, inputs: {local: ../rows.csv, named: "azureml:rows:1"}}
            """,
            "a.yml": """
                name: a
                command: run
                environment: azureml:e:1
                inputs: {local: {type: uri_file}, named: {type: uri_folder}}
            """,
        }
    )

    given = pipeline_of(path).jobs["a"].inputs

    assert given["local"] == InputValue(type="uri_file", path=str(path.parent.parent / "rows.csv"))
    assert given["named"] == InputValue(type="uri_folder", path="azureml:rows:1")


def test_a_reference_given_to_a_pipeline_is_data_where_a_step_takes_it_as_data(
    write: Write,
) -> None:
    path = write(
        {
            "it.yml": """
                type: pipeline
                inputs: {rows: "azureml:flights@latest", text: "azureml:flights@latest"}
                jobs:
                  a:
                    component: ./a.yml
                    inputs: {rows: "${{parent.inputs.rows}}", text: "${{parent.inputs.text}}"}
            """,
            "a.yml": """
                name: a
                command: run
                environment: azureml:e:1
                inputs: {rows: {type: uri_file}, text: {type: string}}
            """,
        }
    )

    given = load_job(path).step.inputs

    assert given["rows"] == InputValue(type="uri_file", path="azureml:flights@latest")
    assert given["text"] == InputValue(value="azureml:flights@latest")


def test_an_inline_step_takes_its_types_from_what_is_bound_to_it(write: Write) -> None:
    path = write(
        """
        type: pipeline
        inputs: {rows: {type: uri_file, path: ./a}, rate: 0.1}
        outputs: {model: {type: mlflow_model}, table: }
        jobs:
          late:
            command: run
            environment: azureml:e:1
            inputs:
              rows: ${{parent.inputs.rows}}
              rate: ${{parent.inputs.rate}}
              model: ${{parent.jobs.early.outputs.model}}
              text: ${{parent.inputs.rate}} of them
              forced: {type: uri_folder, path: "${{parent.inputs.rows}}"}
            outputs:
              table: {type: mltable, path: "${{parent.outputs.table}}"}
          early:
            command: run
            environment: azureml:e:1
            outputs: {model: "${{parent.outputs.model}}"}
        """
    )

    pipeline = pipeline_of(path)

    assert {name: spec.type for name, spec in pipeline.jobs["late"].component.inputs.items()} == {
        "rows": "uri_file", "rate": "number", "model": "mlflow_model", "text": "string",
        "forced": "uri_folder",
    }  # fmt: skip
    assert pipeline.outputs["table"].type == "mltable"


def test_steps_name_registered_components_without_knowing_them() -> None:
    steps = pipeline_of(CASES / "job/pipeline-registered.yml").jobs

    assert [step.component for step in steps.values()] == [
        ComponentReference(reference="azureml:train:1"),
        ComponentReference(reference="azureml:evaluate@latest"),
        ComponentReference(
            reference="azureml://registries/azureml/components/compute_metrics/versions/0.0.32"
        ),
    ]


def test_a_nested_pipeline_is_a_component_with_steps() -> None:
    nested = pipeline_of(CASES / "job/pipeline-nested.yml").jobs["both"].component

    assert isinstance(nested, PipelineComponent)
    assert list(nested.jobs) == ["prepare", "train"]
    assert nested.inputs["rate"] == InputSpec(type="number", default=0.1)
    assert pipeline_of(CASES / "job/pipeline-of-a-component.yml").settings.default_compute == (
        "cpu-cluster"
    )


def test_a_sweep_is_a_command_and_how_it_is_tried() -> None:
    job = load_job(CASES / "job/sweep-sobol.yml")
    step = pipeline_of(CASES / "job/pipeline-sweep.yml").jobs["tune"]

    assert job.step.sweep is not None
    assert job.step.sweep.sampling == {"type": "random", "seed": 7, "rule": "sobol"}
    assert job.step.sweep.early_termination == {
        "type": "bandit", "evaluation_interval": 1, "delay_evaluation": 5, "slack_factor": 0.1,
    }  # fmt: skip
    assert step.sweep is not None
    assert step.sweep.search_space == {
        "rate": {"type": "uniform", "min_value": 0.01, "max_value": 0.9}
    }
    assert step.sweep.limits.max_concurrent_trials == 2
    assert step.component.name == "train"


def test_a_parallel_step_changes_settings_of_its_component() -> None:
    steps = pipeline_of(CASES / "job/pipeline-parallel.yml").jobs
    inline, changed = steps["inline"].component, steps["component"].component

    assert isinstance(inline, ParallelComponent)
    assert isinstance(changed, ParallelComponent)
    assert inline.task.append_row_to == "${{outputs.rows}}"
    assert inline.mini_batch_size == "1mb"
    assert (changed.mini_batch_size, changed.mini_batch_error_threshold) == ("5", 5)
    assert changed.retry_settings is not None
    assert (changed.retry_settings.max_retries, changed.retry_settings.timeout) == (9, 60)
    assert changed.task.code == str(CASES / "src")


@pytest.mark.parametrize("case", ["automl", "pipeline-automl"])
def test_what_only_azure_runs_is_loaded_as_unsupported(case: str) -> None:
    job = load_job(CASES / f"job/{case}.yml")

    component = job.step.component
    if isinstance(component, PipelineComponent):
        component = component.jobs["search"].component
    assert isinstance(component, UnsupportedComponent)
    assert component.kind == "automl"
    assert component.body["target_column_name"] == "late"


def test_control_flow_names_the_steps_that_it_steers(write: Write) -> None:
    path = write(
        """
        type: pipeline
        jobs:
          ask: {command: run, environment: "azureml:e:1", outputs: {go: }}
          yes_step: {command: run, environment: "azureml:e:1"}
          no_step: {command: run, environment: "azureml:e:1"}
          work: {command: "run ${{inputs.n}}", environment: "azureml:e:1", inputs: {n: 1}}
          branch:
            type: if_else
            condition: ${{parent.jobs.ask.outputs.go}}
            true_block: ${{parent.jobs.yes_step}}
            false_block: ["${{parent.jobs.no_step}}"]
          loop:
            type: do_while
            body: ${{parent.jobs.ask}}
            condition: ${{parent.jobs.ask.outputs.go}}
            mapping: {go: n}
            limits: {max_iteration_count: 5}
          each:
            type: parallel_for
            body: ${{parent.jobs.work}}
            items: '[{"n": 1}, {"n": 2}]'
        """
    )

    steps = pipeline_of(path).jobs

    assert steps["branch"].component == IfElse(
        condition="${{parent.jobs.ask.outputs.go}}",
        true_block=("yes_step",),
        false_block=("no_step",),
    )
    assert steps["loop"].component == DoWhile(
        body="ask", condition="go", mapping={"go": ("n",)}, max_iteration_count=5
    )
    assert steps["each"].component == ParallelFor(
        body="work", items=({"n": InputValue(value=1)}, {"n": InputValue(value=2)})
    )


def test_overrides_are_read_like_the_file() -> None:
    path = CASES / "job/pipeline-inline.yml"

    job = load_job(
        path,
        overrides={
            "inputs.rate": 0.5,
            "inputs.rows.path": "azureml:other:2",
            "jobs.prepare.compute": "azureml:small",
            "settings.force_rerun": "false",
        },
    )

    assert isinstance(job.step.component, PipelineComponent)
    assert job.step.inputs["rate"].value == 0.5
    assert job.step.inputs["rows"] == InputValue(type="uri_file", path="azureml:other:2")
    assert job.step.component.jobs["prepare"].compute == "small"
    assert job.step.component.settings.force_rerun is False
    assert load_job(path).step.inputs["rate"].value == 0.1


def test_a_literal_input_can_be_overridden_by_data() -> None:
    job = load_job(
        CASES / "job/command-inputs.yml",
        overrides={"inputs.text.path": "azureml:a:1", "inputs.text.type": "uri_file"},
    )

    assert job.step.inputs["text"] == InputValue(type="uri_file", path="azureml:a:1")


def test_an_override_cannot_lead_through_a_reference() -> None:
    with pytest.raises(InvalidDocument, match="leads through what is no mapping"):
        load_job(
            CASES / "job/pipeline-components.yml",
            overrides={"jobs.prepare.component.command": "rm"},
        )


def test_a_component_file_has_defaults_of_its_types() -> None:
    component = load_component(CASES / "component/prepare.yml")

    assert component.is_deterministic is False
    assert component.version == "1"
    assert component.inputs["share"] == InputSpec(type="number", default=0.5, min=0, max=1)
    assert component.inputs["kind"].enum == ("all", "late")
    assert component.inputs["limit"].optional


def test_a_literal_stands_in_a_command_as_azure_ml_sends_it() -> None:
    assert [literal_text(value) for value in (True, 3, 0.1, "a b")] == ["True", "3", "0.1", "a b"]


def test_the_language_needs_no_heavy_library() -> None:
    heavy = "{'azure', 'dagster', 'mlflow', 'pandas', 'marshmallow'}"
    script = (
        "import sys; from mlops_dagster.aml import load_job; "
        f"print(sorted({heavy} & {{name.partition('.')[0] for name in sys.modules}}))"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
