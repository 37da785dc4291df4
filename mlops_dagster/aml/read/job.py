"""Jobs that somebody submits: commands, pipelines, sweeps and Spark applications.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-job-command,
.../reference-yaml-job-pipeline, .../reference-yaml-job-sweep, .../reference-yaml-job-spark.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlops_dagster.aml.bindings import sole_binding
from mlops_dagster.aml.io import InputSpec, InputValue, OutputSpec, OutputValue
from mlops_dagster.aml.job import (
    ComponentReference,
    Job,
    PipelineComponent,
    Step,
    UnsupportedComponent,
)
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read import command, spark, sweep
from mlops_dagster.aml.read.component import read_component_at
from mlops_dagster.aml.read.ios import inferred_input, inferred_outputs, read_input, read_outputs
from mlops_dagster.aml.read.legacy_syntax import with_double_braces
from mlops_dagster.aml.read.pipeline import read_settings, read_steps
from mlops_dagster.aml.read.program import UNSUPPORTED, read_common
from mlops_dagster.aml.read.step import FIELDS, finish, read_draft, step_of
from mlops_dagster.aml.read.wiring import Scope, check_given
from mlops_dagster.aml.references import LocalPath, parse_reference, resolved

_KINDS = {"command": command.FIELDS, "sweep": sweep.FIELDS, "spark": spark.FIELDS}


def read_job(part: Part) -> Job | None:
    """A job; None, with the mistakes noted, where there is nothing to run."""
    kind = _kind(part)
    if kind is None:
        return None
    if kind == "pipeline":
        step = _pipeline(part)
    elif kind in UNSUPPORTED:
        step = Step(component=UnsupportedComponent(kind=kind, body=part.mapping()))
    else:
        step = _standing(part, kind)
    if step is None:
        return None
    return Job(
        step=step,
        name=part.text("name"),
        display_name=part.text("display_name"),
        description=part.text("description") or "",
        experiment_name=part.text("experiment_name"),
        tags=part.labels("tags"),
        properties=part.labels("properties"),
        source=part.document.path,
    )


def _kind(part: Part) -> str | None:
    if not part.at("type").given:
        guesses = {"jobs": "pipeline", "trial": "sweep", "entry": "spark"}
        return next((kind for field, kind in guesses.items() if part.has(field)), "command")
    if part.data["type"] == "parallel":
        remedy = "Make it a step of a pipeline."
        part.at("type").problem("A parallel job runs only as a step of a pipeline.", remedy)
        return None
    return part.choice("type", (*_KINDS, "pipeline", *UNSUPPORTED))


def _standing(part: Part, kind: str) -> Step | None:
    part = with_double_braces(part)
    part.fields((*FIELDS, *_KINDS[kind]))
    if part.has("component"):
        part.at("component").problem(
            f"A {kind} job has no component.", "Put it into a pipeline, as a step."
        )
        return None
    for name, entry in part.entries("outputs"):
        if isinstance(entry.data, str) and sole_binding(entry.data):
            entry.problem(f"{entry.data} has no meaning outside a pipeline.", f"Write `{name}:`.")
            return None
    draft = read_draft(part, "", {}, {}, read_component_at)
    return None if draft is None else finish(draft, Scope())


def _pipeline(part: Part) -> Step | None:
    part.fields((*FIELDS, "jobs"))
    if not part.has("component"):
        return _described(part)
    if part.at("jobs").given:
        part.at("jobs").problem("A pipeline job has `jobs:` or `component:`, not both.")
        return None
    component = read_component_at(part.at("component"))
    if component is None:
        return None
    if not isinstance(component, PipelineComponent | ComponentReference):
        remedy = "Name a pipeline component, or list the steps under `jobs:`."
        part.at("component").problem(f"This is a {component.type} component.", remedy)
        return None
    declared = None if isinstance(component, ComponentReference) else component.inputs
    given = _given(part, declared)
    outputs = read_outputs(part.at("outputs"), binds=False)
    check_given(part, component, given, step=False)
    if isinstance(component, PipelineComponent):
        settings = read_settings(part.at("settings"))
        component = component.model_copy(update={"settings": settings})
    return step_of(part, component, given, outputs, None)


def _described(part: Part) -> Step:
    given = _given(part, None)
    outputs = read_outputs(part.at("outputs"), binds=False)
    loose = frozenset(name for name, value in given.items() if _may_be_data(value))
    common = read_common(part) | {
        "name": None,
        "inputs": {name: inferred_input(value) for name, value in given.items()},
        "outputs": inferred_outputs(outputs),
        "tags": {},
        "properties": {},
    }
    pipeline = read_steps(part, common, read_component_at, loose=loose)
    pipeline = pipeline.model_copy(
        update={"outputs": _typed_outputs(pipeline.outputs, outputs, pipeline)}
    )
    for name, spec in _consumed_as_data(pipeline, loose).items():
        path = resolved(str(given[name].value), part.folder)
        given[name] = InputValue(type=spec.type, path=path)
        pipeline = pipeline.model_copy(update={"inputs": {**pipeline.inputs, name: spec}})
    return step_of(part, pipeline, given, outputs, None)


def _given(part: Part, declared: Mapping[str, InputSpec] | None) -> dict[str, InputValue]:
    given: dict[str, InputValue] = {}
    for name, entry in part.entries("inputs"):
        spec = declared.get(name) if declared is not None else None
        value = read_input(entry, spec)
        if value is None:
            continue
        binding = sole_binding(value.path if value.path is not None else value.value)
        if binding is not None and binding.root != "name":
            entry.problem(f"{binding.text} has no meaning here.", "Give the value itself.")
            continue
        given[name] = value
    return given


def _may_be_data(value: InputValue) -> bool:
    """Whether a bare text could name data: the service takes it so where a step wants data."""
    text = value.value
    return isinstance(text, str) and (
        text.startswith("azureml:") or not isinstance(parse_reference(text), LocalPath)
    )


def _consumed_as_data(pipeline: PipelineComponent, loose: frozenset[str]) -> dict[str, InputSpec]:
    found: dict[str, InputSpec] = {}
    for step in pipeline.jobs.values():
        for name, value in step.inputs.items():
            binding = sole_binding(value.path if value.path is not None else value.value)
            spec = step.component.inputs.get(name)
            if binding and binding.root == "parent.inputs" and spec and spec.is_data:
                outer = binding.names[0]
                if outer in loose:
                    found.setdefault(outer, InputSpec(type=spec.type))
    return found


def _typed_outputs(
    specs: Mapping[str, OutputSpec],
    values: Mapping[str, OutputValue],
    pipeline: PipelineComponent,
) -> dict[str, OutputSpec]:
    """An output without a type has that of the step's output that is bound to it."""
    typed = dict(specs)
    for step in pipeline.jobs.values():
        for name, value in step.outputs.items():
            binding = sole_binding(value.path)
            if binding is None or binding.root != "parent.outputs":
                continue
            outer = binding.names[0]
            produced = step.component.outputs.get(name)
            if outer in typed and values[outer].type is None and produced is not None:
                typed[outer] = typed[outer].model_copy(update={"type": value.type or produced.type})
    return typed
