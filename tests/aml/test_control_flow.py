"""Control flow that is decided before anything runs becomes plain steps."""

from __future__ import annotations

from textwrap import indent

import pytest

from mlops_dagster.aml import load_job
from mlops_dagster.aml.control_flow import expand_control_flow
from mlops_dagster.aml.job import PipelineComponent
from tests.aml.conftest import Write

STEPS = """
jobs:
  make: {command: run, environment: "azureml:e:1", outputs: {o: {type: uri_file}}}
  work:
    command: run ${{inputs.n}}
    environment: azureml:e:1
    inputs: {n: 1}
    outputs: {o: {type: uri_file}}
"""


def steps_of(write: Write, more: str, head: str = "") -> list[str]:
    job = expand_control_flow(
        load_job(write(f"type: pipeline\n{head}\n{STEPS}{indent(more, '  ')}"))
    )
    assert isinstance(job.step.component, PipelineComponent)
    return [
        f"{key} {step.inputs['n'].value}" if key.startswith("work") else key
        for key, step in job.step.component.jobs.items()
    ]


LOOP = 'each: {type: parallel_for, body: "${{parent.jobs.work}}", items: ITEMS}\n'
BRANCH = (
    'if: {type: if_else, condition: CONDITION, true_block: "${{parent.jobs.make}}",'
    ' false_block: "${{parent.jobs.work}}"}\n'
)
READS = (
    'reads: {command: run, environment: "azureml:e:1",'
    ' inputs: {i: "${{parent.jobs.work.outputs.o}}"}}\n'
)


@pytest.mark.parametrize(
    ("items", "steps"),
    [
        ("[{n: 5}, {n: 6}]", ["make", "work_0 5", "work_1 6"]),
        ("{a: {n: 5}, b: {n: 6}}", ["make", "work_a 5", "work_b 6"]),
        ("'[{\"n\": 7}]'", ["make", "work_0 7"]),
        ("${{parent.jobs.make.outputs.o}}", ["make", "work 1", "each"]),
    ],
)
def test_a_loop_over_items_that_are_known_is_a_step_an_item(
    write: Write, items: str, steps: list[str]
) -> None:
    quoted = f'"{items}"' if items.startswith("$") else items
    assert steps_of(write, LOOP.replace("ITEMS", quoted)) == steps


@pytest.mark.parametrize(
    ("condition", "steps"),
    [
        ("true", ["make"]),
        ("false", ["work 1"]),
        ('"${{parent.inputs.go}}"', ["make"]),
        ('"${{parent.inputs.halt}}"', ["work 1"]),
        ('"${{parent.inputs.other}}"', ["make", "work 1", "if"]),
    ],
)
def test_a_branch_whose_condition_is_known_leaves_a_block_out(
    write: Write, condition: str, steps: list[str]
) -> None:
    head = "inputs: {go: true, halt: 'false', other: maybe}"
    assert steps_of(write, BRANCH.replace("CONDITION", condition), head) == steps


@pytest.mark.parametrize(
    "node", [LOOP.replace("ITEMS", "[{n: 5}]"), BRANCH.replace("CONDITION", "true")]
)
def test_what_another_step_reads_from_stays_as_it_is(write: Write, node: str) -> None:
    assert {"work 1", "reads"} < set(steps_of(write, node + READS))
