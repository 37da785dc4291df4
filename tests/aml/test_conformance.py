"""Azure ML's own loader and ours, on the same files: what one accepts the other accepts, and they
read the same thing. Each file under ``conformance/`` is one construct of the language."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster import aml
from mlops_dagster.aml.job import (
    ComponentBase,
    ComponentReference,
    PipelineComponent,
    Step,
    UnsupportedComponent,
)
from tests.aml.conftest import Write

HERE = Path(__file__).parent / "conformance"
KINDS = ("job", "component", "data", "model", "environment", "compute", "schedule")
FILES = sorted(path for kind in KINDS for path in (HERE / kind).glob("*.yml"))


def short_path(path: Path) -> str:
    return path.relative_to(HERE).as_posix()


@pytest.fixture(scope="module")
def official() -> Any:
    """The official loaders by kind; importing them takes seconds."""
    logging.getLogger("azure.ai.ml").setLevel(logging.CRITICAL)
    import azure.ai.ml as official
    from azure.ai.ml.entities._load_functions import load_schedule

    loaders = {kind: getattr(official, f"load_{kind}") for kind in KINDS if kind != "schedule"}
    return loaders | {"schedule": load_schedule}


def ours(path: Path) -> Any:
    return getattr(aml, f"load_{path.parent.name}")(path)


@pytest.mark.parametrize("path", FILES, ids=short_path)
def test_every_construct_is_accepted_by_both_loaders(path: Path, official: Any) -> None:
    theirs = official[path.parent.name](path)

    assert aml.check(path) == []
    assert aml.kind_of(path) == path.parent.name
    if hasattr(theirs, "_validate"):
        assert theirs._validate().error_messages == {}


@pytest.mark.parametrize("path", sorted((HERE / "job").glob("*.yml")), ids=short_path)
def test_both_loaders_read_the_same_job(path: Path, official: Any) -> None:
    theirs, job = official["job"](path), ours(path)

    assert job.display_name == theirs.display_name or theirs.display_name is None
    assert {name: text or "" for name, text in job.tags.items()} == {
        name: text or "" for name, text in (theirs.tags or {}).items()
    }
    if theirs.type == "pipeline":
        assert isinstance(job.step.component, PipelineComponent)
        assert set(job.step.component.jobs) == set(theirs.jobs)
        for name, node in theirs.jobs.items():
            same_step(node, job.step.component.jobs[name])
    same_step(theirs, job.step)


def same_step(theirs: Any, step: Step) -> None:
    component = step.component
    if isinstance(component, UnsupportedComponent):
        assert theirs.type == component.kind
        return
    by_default = {name for name, spec in component.inputs.items() if spec.default is not None}
    assert set(step.inputs) | by_default == by_default | {
        name for name, value in theirs.inputs.items() if plain_value(value) is not None
    }
    if isinstance(component, ComponentReference):
        assert component.reference.endswith(str(theirs.component))
        return
    if theirs.type not in ("pipeline", "sweep"):
        assert (step.sweep is not None) == (theirs.type == "sweep")
        assert component.type == theirs.type
    assert set(component.outputs) == set(theirs.outputs)
    command = getattr(theirs, "command", None)
    if isinstance(command, str):
        assert getattr(component, "command", None) == command
    if step.sweep is not None:
        assert set(step.sweep.search_space) == set(theirs.search_space)
        assert step.sweep.sampling["type"] in str(sampling_of(theirs)).lower()
        assert step.sweep.limits.max_total_trials == theirs.limits.max_total_trials


def plain_value(value: Any) -> Any:
    return getattr(value, "_data", value)


def sampling_of(sweep: Any) -> str:
    algorithm = sweep.sampling_algorithm
    return getattr(algorithm, "type", None) or str(algorithm or "random")


@pytest.mark.parametrize("path", sorted((HERE / "component").glob("*.yml")), ids=short_path)
def test_both_loaders_read_the_same_component(path: Path, official: Any) -> None:
    theirs, component = official["component"](path), ours(path)

    assert isinstance(component, ComponentBase)
    assert component.source == path
    assert component.name == theirs.name
    assert getattr(component, "type", None) == theirs.type
    assert component.is_deterministic == (theirs.is_deterministic is not False)
    assert set(component.outputs) == set(theirs.outputs)
    for name, declared in theirs.inputs.items():
        spec = component.inputs[name]
        assert (spec.type, spec.default) == (declared.type, declared.default)
        assert spec.optional == bool(declared.optional and declared.default is None)


@pytest.mark.parametrize("kind", ["data", "model", "compute", "environment"])
def test_both_loaders_read_the_same_asset(kind: str, official: Any) -> None:
    for path in sorted((HERE / kind).glob("*.yml")):
        theirs, asset = official[kind](path), ours(path)

        assert asset.name == theirs.name
        assert getattr(asset, "type", None) == getattr(theirs, "type", None)
        for field in ("size", "max_instances", "image"):
            expected = getattr(theirs, field, None)
            assert expected is None or getattr(asset, field) == expected


@pytest.mark.parametrize("kind", ["command", "sweep"])
def test_single_braces_are_read_as_the_azure_tools_submit_them(
    kind: str, write: Write, official: Any
) -> None:
    command = "command: train --rate {inputs.rate} --n ${{inputs.n}} --as '{rate}' ${HOME}"
    rest = "environment: azureml:training:1"
    path = write(
        f"{command}\n{rest}\ninputs: {{rate: 0.1, n: 3}}\n"
        if kind == "command"
        else f"type: sweep\ntrial:\n  {command} --b {{search_space.b}}\n  {rest}\n"
        "inputs: {rate: 0.1, n: 3}\n"
        "search_space: {b: {type: choice, values: [1, 2]}}\n"
        "sampling_algorithm: random\n"
        "objective: {goal: maximize, primary_metric: score}\n"
        "limits: {max_total_trials: 2}\n"
    )
    theirs = official["job"](path)
    submitted = (theirs._to_job() if kind == "command" else theirs)._to_rest_object().properties

    component = aml.load_job(path).step.component
    assert getattr(component, "command", None) == getattr(submitted, "trial", submitted).command
