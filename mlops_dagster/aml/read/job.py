"""Jobs that somebody submits: commands, pipelines, sweeps and Spark applications.

Sources: learn.microsoft.com/azure/machine-learning/reference-yaml-job-command,
.../reference-yaml-job-pipeline, .../reference-yaml-job-sweep, .../reference-yaml-job-spark.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlops_dagster.aml.bindings import JOB_ROOTS, TRIGGER_TIMES, sole_binding
from mlops_dagster.aml.bound_literals import bound_literal_problems
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue, OutputSpec, OutputValue
from mlops_dagster.aml.job import (
    ComponentReference,
    Job,
    PipelineComponent,
    Step,
    UnsupportedComponent,
)
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read import sweep
from mlops_dagster.aml.read.binding_checks import Scope, check_inputs_given, check_output_path
from mlops_dagster.aml.read.component import read_component_at
from mlops_dagster.aml.read.inputs_outputs import (
    implied_input_spec,
    implied_output_specs,
    read_input,
    read_outputs,
)
from mlops_dagster.aml.read.legacy_syntax import expand_single_braces
from mlops_dagster.aml.read.pipeline import read_settings, read_steps
from mlops_dagster.aml.read.program import (
    AZURE_ONLY_TYPES,
    PROGRAM_FIELDS,
    implied_type,
    read_common_fields,
)
from mlops_dagster.aml.read.step import FIELDS, build_step, finish_step, read_draft
from mlops_dagster.aml.references import LocalPath, parse_reference, resolve_path

_KINDS = {**PROGRAM_FIELDS, "sweep": sweep.FIELDS}
del _KINDS["parallel"]  # it runs only as a step


def read_job(node: Node) -> Job | None:
    """A job; None, with the mistakes added, where there is nothing to run."""
    kind = _job_type(node)
    if kind is None:
        return None
    if kind == "pipeline":
        step = _pipeline(node)
    elif kind in AZURE_ONLY_TYPES:
        step = Step(component=UnsupportedComponent(kind=kind, body=node.mapping()))
    else:
        step = _single_step(node, kind)
    if step is None:
        return None
    job = Job(
        step=step,
        name=node.text("name"),
        display_name=node.text("display_name"),
        description=node.text("description") or "",
        experiment_name=node.text("experiment_name"),
        tags=node.labels("tags"),
        properties=node.labels("properties"),
        source=node.document.path,
    )
    if not node.session.problems:
        node.session.problems += bound_literal_problems(job)
    return job.model_copy(update={"warnings": tuple(node.session.warnings)})


def _job_type(node: Node) -> str | None:
    written = node.at("type")
    kind = written.data if written.is_set else implied_type(node)
    if kind == "parallel":
        remedy = "Make it a step of a pipeline."
        field = written if written.is_set else node.at("task")
        field.add_problem("A parallel job runs only as a step of a pipeline.", remedy)
        return None
    return node.choice("type", (*_KINDS, "pipeline", *AZURE_ONLY_TYPES)) if written.is_set else kind


def _single_step(node: Node, kind: str) -> Step | None:
    node = expand_single_braces(node)
    node.check_fields((*FIELDS, *_KINDS[kind]))
    if node.has("component"):
        node.at("component").add_problem(
            f"A {kind} job has no component.", "Put it into a pipeline, as a step."
        )
        return None
    for name, entry in node.entries("outputs"):
        if isinstance(entry.data, str) and sole_binding(entry.data):
            entry.add_problem(
                f"{entry.data} has no meaning outside a pipeline.", f"Write `{name}:`."
            )
            return None
    draft = read_draft(node, "", {}, {}, read_component_at)
    return None if draft is None else finish_step(draft, Scope())


def _pipeline(node: Node) -> Step | None:
    node.check_fields((*FIELDS, "jobs"))
    if not node.has("component"):
        return _inline_pipeline(node)
    if node.at("jobs").is_set:
        node.at("jobs").add_problem("A pipeline job has `jobs:` or `component:`, not both.")
        return None
    component = read_component_at(node.at("component"))
    if component is None:
        return None
    if not isinstance(component, PipelineComponent | ComponentReference):
        remedy = "Name a pipeline component, or list the steps under `jobs:`."
        node.at("component").add_problem(f"This is a {component.type} component.", remedy)
        return None
    declared = None if isinstance(component, ComponentReference) else component.inputs
    given = _read_inputs(node, declared)
    outputs = _read_outputs(node)
    check_inputs_given(node, component, given, step=False)
    if isinstance(component, PipelineComponent):
        settings = read_settings(node.at("settings"))
        component = component.model_copy(update={"settings": settings})
    return build_step(node, component, given, outputs, None)


def _inline_pipeline(node: Node) -> Step:
    given = _read_inputs(node, None)
    outputs = _read_outputs(node)
    untyped_inputs = frozenset(name for name, value in given.items() if _may_be_data(value))
    common = read_common_fields(node) | {
        "name": None,
        "inputs": {name: implied_input_spec(value) for name, value in given.items()},
        "outputs": implied_output_specs(outputs),
        "tags": {},
        "properties": {},
    }
    pipeline = read_steps(node, common, read_component_at, untyped_inputs=untyped_inputs)
    pipeline = pipeline.model_copy(
        update={"outputs": _with_output_types(pipeline.outputs, outputs, pipeline)}
    )
    for name, spec in _texts_used_as_data(pipeline, untyped_inputs).items():
        path = resolve_path(str(given[name].value), node.folder)
        given[name] = InputValue(type=spec.type, path=path)
        pipeline = pipeline.model_copy(update={"inputs": {**pipeline.inputs, name: spec}})
    return build_step(node, pipeline, given, outputs, None)


def _read_inputs(node: Node, declared: Mapping[str, InputSpec] | None) -> dict[str, InputValue]:
    given: dict[str, InputValue] = {}
    for name, entry in node.entries("inputs"):
        spec = declared.get(name) if declared is not None else None
        value = read_input(entry, spec, may_be_open=True)
        if value is None:
            continue
        binding = sole_binding(value.path if value.path is not None else value.value)
        if binding is not None and binding.root not in (*JOB_ROOTS, *TRIGGER_TIMES):
            entry.add_problem(f"{binding.text} has no meaning here.", "Give the value itself.")
            continue
        given[name] = value
    return given


def _read_outputs(node: Node) -> dict[str, OutputValue]:
    outputs = read_outputs(node.at("outputs"), binds=False)
    for name, value in outputs.items():
        if value.path is not None:
            check_output_path(node.at("outputs").at(name).at("path"), value.path, {})
    return outputs


def _may_be_data(value: InputValue) -> bool:
    """Whether a bare text could name data: the service takes it so where a step wants data."""
    text = value.value
    return isinstance(text, str) and (
        text.startswith("azureml:") or not isinstance(parse_reference(text), LocalPath)
    )


def _texts_used_as_data(
    pipeline: PipelineComponent, untyped_inputs: frozenset[str]
) -> dict[str, InputSpec]:
    found: dict[str, InputSpec] = {}
    for step in pipeline.jobs.values():
        for name, value in step.inputs.items():
            binding = sole_binding(value.path if value.path is not None else value.value)
            spec = step.component.inputs.get(name)
            if binding and binding.root == "parent.inputs" and spec and spec.is_data:
                outer = binding.names[0]
                if outer in untyped_inputs:
                    found.setdefault(outer, InputSpec(type=spec.type))
    return found


def _with_output_types(
    specs: Mapping[str, OutputSpec],
    values: Mapping[str, OutputValue],
    pipeline: PipelineComponent,
) -> dict[str, OutputSpec]:
    """The outputs, where one without a type has that of the step's output bound to it."""
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
