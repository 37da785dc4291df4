"""What Azure ML's own tools pass over is a warning: it is left out, and said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.aml import check, load_job
from mlops_dagster.aml.job import PipelineComponent
from mlops_dagster.errors import InvalidDocument
from tests.aml.conftest import Write

FILES = {
    "it.yml": """
        type: pipeline
        settings:
          default_computer: azureml:cpu
          made_up: 1
        jobs:
          part:
            type: pipeline
            component: ./part.yml
            inputs: {a: 2, more: 3}
    """,
    "part.yml": """
        type: pipeline
        inputs:
          a: {type: integer, default: 1}
        jobs:
          one:
            command: echo ${{inputs.a}}
            environment: {image: python}
            inputs: {a: "${{parent.inputs.a}}"}
    """,
}


@pytest.fixture
def path(write: Write) -> Path:
    return write(FILES)


def test_an_undeclared_input_of_a_step_and_an_unknown_setting_are_warnings(path: Path) -> None:
    assert check(path) == []
    job = load_job(path)
    unknown = "There is no such field here; it has no effect."
    undeclared = "The component declares no input 'more'; it is left out."
    assert [(each.line, each.field, each.message) for each in job.warnings] == [
        (3, "settings.default_computer", unknown),
        (4, "settings.made_up", unknown),
        (9, "jobs.part.inputs.more", undeclared),
    ]
    assert job.warnings[0].remedy == "Did you mean 'default_compute'?"
    assert isinstance(job.step.component, PipelineComponent)
    assert set(job.step.component.jobs["part"].inputs) == {"a"}


def test_what_is_set_for_one_call_is_never_passed_over(path: Path) -> None:
    for field in ("jobs.part.inputs.more", "settings.default_computer", "settings.new"):
        with pytest.raises(InvalidDocument, match=field.rpartition(".")[0]):
            load_job(path, overrides={field: 5})


def test_warnings_are_no_part_of_what_a_job_is(path: Path) -> None:
    job = load_job(path)
    assert job.warnings
    assert "warnings" not in job.model_dump()
