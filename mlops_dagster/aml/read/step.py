"""A step of a pipeline, and what it shares with a job that stands alone.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue, OutputSpec, OutputValue
from mlops_dagster.aml.job import (
    Component,
    ComponentReference,
    ParallelComponent,
    SparkComponent,
    Step,
    Sweep,
    UnsupportedComponent,
)
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read import command, parallel, spark, sweep
from mlops_dagster.aml.read.binding_checks import (
    Scope,
    check_input_bindings,
    check_inputs_given,
    check_output_path,
    text_nodes,
)
from mlops_dagster.aml.read.control import KINDS as CONTROL
from mlops_dagster.aml.read.control import read_control
from mlops_dagster.aml.read.environment import read_environment
from mlops_dagster.aml.read.inputs_outputs import (
    implied_input_spec,
    implied_output_specs,
    read_input,
    read_outputs,
)
from mlops_dagster.aml.read.program import (
    AZURE_ONLY_TYPES,
    PROGRAM_FIELDS,
    check_program_bindings,
    implied_type,
    read_program,
)
from mlops_dagster.errors import suggest

FIELDS = (
    "type", "name", "component", "display_name", "description", "comment", "tags", "properties",
    "experiment_name", "inputs", "outputs", "compute", "identity", "services", "settings",
    "is_deterministic", "parent_job_name", "status", "log_files",
)  # fmt: skip
_OWN_BINDINGS = frozenset(
    [
        "inputs",
        "outputs",
        "component",
        "trial",
        "command",
        "task",
        "args",
        "input_data",
        "condition",
        "true_block",
        "false_block",
        "body",
        "mapping",
        "items",
        "description",
        "display_name",
        "comment",
    ]
)


ComponentReader = Callable[[Node], Component | None]
"""Reads a component from where it is named or written."""


@dataclass(frozen=True)
class Draft:
    """A step whose inputs are not read yet, for they may be outputs of steps further down.

    Attributes:
        declared: the component declares its inputs; else they follow from what is given.
    """

    name: str
    node: Node
    component: Component
    outputs: dict[str, OutputValue]
    declared: bool
    sweep: Sweep | None = None

    @property
    def bindable_outputs(self) -> Mapping[str, OutputSpec] | None:
        """What other steps can bind to; None where only the service knows it."""
        unknown = (ComponentReference, UnsupportedComponent)
        if isinstance(self.component, unknown) or self.component.type in CONTROL:
            return None
        return self.component.outputs


def read_draft(
    node: Node,
    name: str,
    steps: Mapping[str, Any],
    outer: Mapping[str, OutputSpec],
    read_component: ComponentReader,
) -> Draft | None:
    """What a step runs, and its outputs.

    Args:
        steps: all steps of the pipeline, as written.
        outer: the outputs of the pipeline, from which a bound output takes its type.
        read_component: reads what the step names as its component, which may be a pipeline again.
    """
    if not node.is_set:
        node.add_problem("The step is empty.", "Write `type: command` and what is to be run.")
    if not node.expect_mapping():
        return None
    kind = _step_type(node)
    if kind in CONTROL:
        control = read_control(node, kind, steps)
        return None if control is None else Draft(name, node, control, {}, declared=True)
    if kind in AZURE_ONLY_TYPES:
        body = UnsupportedComponent(kind=kind, body=node.mapping())
        return Draft(name, node, body, {}, declared=True)
    return _program_draft(node, name, kind, outer, read_component) if kind is not None else None


def _program_draft(
    node: Node,
    name: str,
    kind: str,
    outer: Mapping[str, OutputSpec],
    read_component: ComponentReader,
) -> Draft | None:
    outputs = read_outputs(node.at("outputs"), binds=True)
    if kind == "sweep":
        return _sweep_draft(node, name, outputs, outer, read_component)
    if node.has("component"):
        node.check_fields(
            (*FIELDS, *(f for fields in PROGRAM_FIELDS.values() for f in fields)), closed=False
        )
        component = read_component(node.at("component"))
        if component is None:
            return None
        _check_kind(node, component)
        return Draft(name, node, _with_step_settings(node, component), outputs, declared=True)
    if kind == "pipeline":
        remedy = "Put its steps into a file of their own, and name it as `component:`."
        node.add_problem("A pipeline inside a pipeline is a component.", remedy)
        return None
    node.check_fields((*FIELDS, *PROGRAM_FIELDS[kind]), closed=False)
    component = read_program(
        node, kind, _inline_component_fields(node, outputs, outer), declared=False
    )
    return Draft(name, node, component, outputs, declared=False)


def _step_type(node: Node) -> str | None:
    if node.at("type").is_set:
        return node.choice(
            "type", (*PROGRAM_FIELDS, "pipeline", "sweep", *CONTROL, *AZURE_ONLY_TYPES)
        )
    if node.has("component"):
        return "command"
    return implied_type(node)


def _inline_component_fields(
    node: Node, outputs: Mapping[str, OutputValue], outer: Mapping[str, OutputSpec]
) -> dict[str, Any]:
    """What a component that is written into a job has by itself."""
    specs = implied_output_specs(outputs)
    for name, value in outputs.items():
        binding = sole_binding(value.path)
        if value.type is None and binding and binding.names and binding.names[0] in outer:
            specs[name] = specs[name].model_copy(update={"type": outer[binding.names[0]].type})
    return {
        "outputs": specs,
        "is_deterministic": node.boolean("is_deterministic", default=True),
    }


def _sweep_draft(
    node: Node,
    name: str,
    outputs: dict[str, OutputValue],
    outer: Mapping[str, OutputSpec],
    read_component: ComponentReader,
) -> Draft | None:
    node.check_fields((*FIELDS, *sweep.FIELDS), closed=False)
    found = sweep.read_sweep(node)
    trial = node.required("trial")
    if not trial.is_set:
        return None
    declared = not isinstance(trial.data, dict) or trial.has("inputs") or trial.has("outputs")
    if declared:
        component = read_component(trial)
        _check_trial(trial, component)
    elif trial.has("component"):
        trial.add_problem("A trial is a command.", "Name its file as `trial:`.")
        return None
    else:
        trial.check_fields(
            (*command.FIELDS, "type", "name", "version", "display_name", "description")
        )
        component = read_program(
            trial, "command", _inline_component_fields(node, outputs, outer), declared=False
        )
    if component is None or found is None:
        return None
    return Draft(name, node, component, outputs, declared=declared, sweep=found)


def _check_trial(node: Node, component: Component | None) -> None:
    if component is not None and component.type not in ("command", "reference"):
        node.add_problem(f"Found a {component.type} component; a trial is a command.")


def _check_kind(node: Node, component: Component) -> None:
    written = node.at("type")
    if written.is_set and component.type not in ("reference", "unsupported", written.data.lower()):
        remedy = f"Write `type: {component.type}`."
        written.add_problem(f"The component is a {component.type} component.", remedy)


def _with_step_settings(node: Node, component: Component) -> Component:
    """A parallel or Spark component with what its step sets anew."""
    if isinstance(component, ParallelComponent):
        settings = parallel.read_settings(node)
        older, newer = component.retry_settings, settings.get("retry_settings")
        if older is not None and newer is not None:
            given = newer.model_dump(exclude_none=True)
            settings["retry_settings"] = older.model_copy(update=given)
        return component.model_copy(update=settings)
    if isinstance(component, SparkComponent):
        return component.model_copy(update=spark.read_settings(node))
    return component


def finish_step(draft: Draft, scope: Scope, *, in_loop: bool = False) -> Step:
    """The step with its inputs, checked against its component and the pipeline around it.

    Args:
        in_loop: a loop gives it further inputs.
    """
    node, component = draft.node, draft.component
    given = _read_inputs(draft)
    specs: Mapping[str, InputSpec] = component.inputs
    if not draft.declared:
        specs = {name: _implied_input_spec(value, scope) for name, value in given.items()}
        component = component.model_copy(update={"inputs": specs})
    for name, value in given.items():
        entry = node.at("inputs").at(name)
        check_input_bindings(entry, value, specs.get(name), scope, draft.name)
    _check_outputs(draft, component, scope)
    _check_other_bindings(draft, scope)
    if not in_loop and component.type not in CONTROL:
        check_inputs_given(node, component, given | _searched_inputs(draft), step=True)
        if not isinstance(component, ComponentReference):
            given = {name: value for name, value in given.items() if name in component.inputs}
    _check_own_texts(draft, component)
    return build_step(node, component, given, draft.outputs, draft.sweep, name=draft.name)


def _read_inputs(draft: Draft) -> dict[str, InputValue]:
    """What is given to each input, as its declaration wants it."""
    if draft.component.type in CONTROL or isinstance(draft.component, UnsupportedComponent):
        return {}
    given: dict[str, InputValue] = {}
    for name, entry in draft.node.entries("inputs"):
        spec = draft.component.inputs.get(name) if draft.declared else None
        # Only a job has no name here, and only its inputs can be set when it is submitted.
        value = read_input(entry, spec, may_be_open=not draft.name)
        if value is not None:
            given[name] = value
    return given


def _implied_input_spec(value: InputValue, scope: Scope) -> InputSpec:
    binding = sole_binding(value.path if value.path is not None else value.value)
    if binding is None:
        return implied_input_spec(value)
    bound = scope.type_of(binding) or ("uri_folder" if binding.root == "parent.jobs" else "string")
    return InputSpec(type=value.type or bound, mode=value.mode)


def _searched_inputs(draft: Draft) -> dict[str, InputValue]:
    """The inputs that a sweep gives to its trial."""
    if draft.sweep is None or not draft.declared:
        return {}
    known = draft.component.inputs
    for name in draft.sweep.search_space:
        if name not in known and not isinstance(draft.component, ComponentReference):
            draft.node.at("search_space").at(name).add_problem(
                f"The trial declares no input {name!r}.", suggest(name, known)
            )
    return {name: InputValue(value="") for name in draft.sweep.search_space if name in known}


def _check_own_texts(draft: Draft, component: Component) -> None:
    """Add a mistake for each input or output that a component uses and nobody declares."""
    if draft.declared or component.type in CONTROL:
        return
    where = draft.node if draft.sweep is None else draft.node.at("trial")
    space = None if draft.sweep is None else draft.sweep.search_space
    check_program_bindings(where, component, declared=False, search_space=space)


def _check_outputs(draft: Draft, component: Component, scope: Scope) -> None:
    outputs = draft.node.at("outputs")
    produced = draft.bindable_outputs
    for name, value in draft.outputs.items():
        entry = outputs.at(name)
        if draft.declared and produced is not None and name not in component.outputs:
            entry.add_problem(
                f"The component declares no output {name!r}.", suggest(name, component.outputs)
            )
        if value.path is None:
            continue
        where = entry.at("path") if isinstance(entry.data, dict) else entry
        check_output_path(where, value.path, scope.outputs)


def _check_other_bindings(draft: Draft, scope: Scope) -> None:
    node, step = draft.node, draft.name
    if isinstance(draft.component, UnsupportedComponent):
        _check_bindings_anywhere(node, scope, step)
        return
    for text in text_nodes(node, _OWN_BINDINGS):
        for binding in bindings(text.data):
            if binding.root == "parent.inputs":
                scope.check(text, binding, step)
            elif binding.root in ("parent.jobs", "parent.outputs"):
                text.add_problem(f"{binding.text} is known only to inputs and outputs.")


def _check_bindings_anywhere(node: Node, scope: Scope, step: str) -> None:
    """Check the bindings of AutoML and the like, which take data in fields of their own."""
    for text in text_nodes(node, frozenset(["component", "outputs"])):
        for binding in bindings(text.data):
            if binding.root in ("parent.inputs", "parent.jobs"):
                scope.check(text, binding, step)


def build_step(
    node: Node,
    component: Component,
    inputs: dict[str, InputValue],
    outputs: dict[str, OutputValue],
    found: Sweep | None,
    *,
    name: str = "",
) -> Step:
    """The step that a step's or job's own fields describe around its component."""
    # What is written into a job belongs to its component; beside a component it overrides it.
    beside = node.has("component") and component.type in ("command", "reference", "sweep")
    queue = node.at("queue_settings")
    queue.check_fields(("job_tier", "priority"), closed=False)
    services = node.at("services")
    return Step(
        name=name,
        component=component,
        inputs=inputs,
        outputs=outputs,
        compute=command.read_compute(node.at("compute")),
        display_name=node.text("display_name"),
        description=node.text("description") or "",
        environment=read_environment(node.at("environment")) if beside else None,
        environment_variables=command.read_environment_variables(node) if beside else {},
        distribution=command.read_distribution(node.at("distribution")) if beside else None,
        resources=command.read_resources(node.at("resources")) if beside or found else None,
        limits=command.read_limits(node.at("limits")) if beside else None,
        sweep=found,
        identity=command.read_identity(node.at("identity")),
        queue_settings=queue.mapping() or None,
        services={key: entry.mapping() for key, entry in services.entries()},
        tags=node.labels("tags"),
        properties=node.labels("properties"),
    )
