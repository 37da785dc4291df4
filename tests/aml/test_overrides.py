"""``--set``: a field of the document is replaced; an input that nothing uses is refused."""

from __future__ import annotations

import pytest

from mlops_dagster.aml import check, load_job
from mlops_dagster.errors import InvalidDocument
from tests.aml.conftest import Write

COMMAND = """
    type: command
    command: run ${{inputs.rate}} $[[--deep ${{inputs.depth}}]] {inputs.old}
    environment: {image: i}
    inputs: {rate: 0.1, old: 1}
"""
PIPELINE = """
    type: pipeline
    inputs: {rate: 0.1}
    outputs: {model: {type: uri_folder}}
    jobs:
      one:
        command: run ${{inputs.rate}} $[[${{inputs.more}}]] > ${{outputs.model}}
        environment: {image: i}
        inputs: {rate: "${{parent.inputs.rate}}"}
        outputs: {model: "${{parent.outputs.model}}"}
      two:
        component: {type: command, command: "run ${{inputs.a}}", environment: {image: i}, inputs: {a: {type: integer, default: 1}}}
"""


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (COMMAND, "inputs.rate"),
        (COMMAND, "inputs.depth"),
        (COMMAND, "inputs.old"),
        (PIPELINE, "inputs.rate"),
        (PIPELINE, "outputs.model.name"),
        (PIPELINE, "jobs.one.inputs.rate"),
        (PIPELINE, "jobs.one.inputs.more"),
        (PIPELINE, "jobs.two.inputs.a"),
        (PIPELINE, "tags.new"),
    ],
)
def test_an_input_that_something_uses_can_be_set(write: Write, text: str, field: str) -> None:
    load_job(write(text), overrides={field: 5})


@pytest.mark.parametrize(
    ("text", "field", "complaint"),
    [
        (COMMAND, "inputs.rats", "there is no input 'rats'"),
        (COMMAND, "inputs.rats.path", "there is no input 'rats'"),
        (COMMAND, "outputs.model.name", "there is no output 'model'"),
        (PIPELINE, "inputs.rats", "there is no input 'rats'"),
        (PIPELINE, "inputs.more", "there is no input 'more'"),
        (PIPELINE, "outputs.modle.name", "there is no output 'modle'"),
        (PIPELINE, "jobs.one.inputs.rats", "there is no input 'rats'"),
        (PIPELINE, "jobs.two.inputs.b", "declares no input 'b'"),
    ],
)
def test_an_input_or_output_that_nothing_uses_is_refused(
    write: Write, text: str, field: str, complaint: str
) -> None:
    with pytest.raises(InvalidDocument, match=complaint) as raised:
        load_job(write(text), overrides={field: 5})
    assert len(raised.value.problems) == 1
    assert raised.value.problems[0].file.name == "it.yml"


def test_an_input_of_a_schedule_that_its_job_does_not_have_is_told(write: Write) -> None:
    path = write(
        {
            "it.yml": """
                name: nightly
                trigger: {type: cron, expression: "0 3 * * *"}
                create_job:
                  job: ./job.yml
                  inputs:
                    rate: 0.2
                    rats: 0.2
            """,
            "job.yml": PIPELINE,
        }
    )
    (problem,) = check(path)
    assert (problem.line, problem.field) == (7, "create_job.inputs.rats")
    assert problem.message == "The job in job.yml has no input 'rats'."
