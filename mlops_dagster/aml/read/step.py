"""A step of a pipeline, and what it shares with a job that stands alone.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.io import InputSpec, InputValue, OutputSpec, OutputValue
from mlops_dagster.aml.job import (
    Component,
    ComponentReference,
    ParallelComponent,
    SparkComponent,
    Step,
    Sweep,
    UnsupportedComponent,
)
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read import command, parallel, spark, sweep
from mlops_dagster.aml.read.control import KINDS as CONTROL
from mlops_dagster.aml.read.control import read_control
from mlops_dagster.aml.read.environment import read_environment
from mlops_dagster.aml.read.ios import inferred_input, inferred_outputs, read_input, read_outputs
from mlops_dagster.aml.read.program import UNSUPPORTED, check_texts, read_leaf
from mlops_dagster.aml.read.wiring import Scope, check_given, check_input_bindings, walk_text
from mlops_dagster.errors import suggest

FIELDS = (
    "type", "name", "component", "display_name", "description", "comment", "tags", "properties",
    "experiment_name", "inputs", "outputs", "compute", "identity", "services", "settings",
    "is_deterministic", "parent_job_name", "status", "log_files",
)  # fmt: skip
_LEAVES = {"command": command.FIELDS, "parallel": parallel.FIELDS, "spark": spark.FIELDS}
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


ComponentReader = Callable[[Part], Component | None]
"""Reads a component from where it is named or written."""


@dataclass(frozen=True)
class Draft:
    """A step whose inputs are not read yet, for they may be outputs of steps further down.

    Attributes:
        declared: the component declares its inputs; else they follow from what is given.
    """

    name: str
    part: Part
    component: Component
    outputs: dict[str, OutputValue]
    declared: bool
    sweep: Sweep | None = None

    @property
    def produced(self) -> Mapping[str, OutputSpec] | None:
        """What other steps can bind to; None where only the service knows it."""
        unknown = (ComponentReference, UnsupportedComponent)
        if isinstance(self.component, unknown) or self.component.type in CONTROL:
            return None
        return self.component.outputs


def read_draft(
    part: Part,
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
    if not part.given:
        part.problem("The step is empty.", "Write `type: command` and what is to be run.")
    if not part.is_mapping():
        return None
    kind = _kind(part)
    if kind in CONTROL:
        control = read_control(part, kind, steps)
        return None if control is None else Draft(name, part, control, {}, declared=True)
    if kind in UNSUPPORTED:
        body = UnsupportedComponent(kind=kind, body=part.mapping())
        return Draft(name, part, body, {}, declared=True)
    return _running_draft(part, name, kind, outer, read_component) if kind is not None else None


def _running_draft(
    part: Part,
    name: str,
    kind: str,
    outer: Mapping[str, OutputSpec],
    read_component: ComponentReader,
) -> Draft | None:
    outputs = read_outputs(part.at("outputs"), binds=True)
    if kind == "sweep":
        return _sweep_draft(part, name, outputs, outer, read_component)
    if part.has("component"):
        part.fields((*FIELDS, *(f for fields in _LEAVES.values() for f in fields)), closed=False)
        component = read_component(part.at("component"))
        if component is None:
            return None
        _check_kind(part, component)
        return Draft(name, part, _overridden(part, component), outputs, declared=True)
    if kind == "pipeline":
        remedy = "Put its steps into a file of their own, and name it as `component:`."
        part.problem("A pipeline inside a pipeline is a component.", remedy)
        return None
    part.fields((*FIELDS, *_LEAVES[kind]), closed=False)
    component = read_leaf(part, kind, _common(part, outputs, outer), declared=False)
    return Draft(name, part, component, outputs, declared=False)


def _kind(part: Part) -> str | None:
    if part.at("type").given:
        return part.choice("type", (*_LEAVES, "pipeline", "sweep", *CONTROL, *UNSUPPORTED))
    if part.has("component"):
        return "command"
    guesses = {"trial": "sweep", "task": "parallel", "entry": "spark", "jobs": "pipeline"}
    return next((kind for field, kind in guesses.items() if part.has(field)), "command")


def _common(
    part: Part, outputs: Mapping[str, OutputValue], outer: Mapping[str, OutputSpec]
) -> dict[str, Any]:
    """What a component that is written into a job has by itself."""
    specs = inferred_outputs(outputs)
    for name, value in outputs.items():
        binding = sole_binding(value.path)
        if value.type is None and binding and binding.names and binding.names[0] in outer:
            specs[name] = specs[name].model_copy(update={"type": outer[binding.names[0]].type})
    return {
        "outputs": specs,
        "is_deterministic": part.boolean("is_deterministic", default=True),
    }


def _sweep_draft(
    part: Part,
    name: str,
    outputs: dict[str, OutputValue],
    outer: Mapping[str, OutputSpec],
    read_component: ComponentReader,
) -> Draft | None:
    part.fields((*FIELDS, *sweep.FIELDS), closed=False)
    found = sweep.read_sweep(part)
    trial = part.required("trial")
    if not trial.given:
        return None
    declared = not isinstance(trial.data, dict) or trial.has("inputs") or trial.has("outputs")
    if declared:
        component = read_component(trial)
        _check_trial(trial, component)
    elif trial.has("component"):
        trial.problem("A trial is a command.", "Name its file as `trial:`.")
        return None
    else:
        trial.fields((*command.FIELDS, "type", "name", "version", "display_name", "description"))
        component = read_leaf(trial, "command", _common(part, outputs, outer), declared=False)
    if component is None or found is None:
        return None
    return Draft(name, part, component, outputs, declared=declared, sweep=found)


def _check_trial(part: Part, component: Component | None) -> None:
    if component is not None and component.type not in ("command", "reference"):
        part.problem(f"Found a {component.type} component; a trial is a command.")


def _check_kind(part: Part, component: Component) -> None:
    written = part.at("type")
    if written.given and component.type not in ("reference", "unsupported", written.data.lower()):
        remedy = f"Write `type: {component.type}`."
        written.problem(f"The component is a {component.type} component.", remedy)


def _overridden(part: Part, component: Component) -> Component:
    """A parallel or Spark component with what its step sets anew."""
    if isinstance(component, ParallelComponent):
        settings = parallel.read_settings(part)
        older, newer = component.retry_settings, settings.get("retry_settings")
        if older is not None and newer is not None:
            given = newer.model_dump(exclude_none=True)
            settings["retry_settings"] = older.model_copy(update=given)
        return component.model_copy(update=settings)
    if isinstance(component, SparkComponent):
        return component.model_copy(update=spark.read_settings(part))
    return component


def finish(draft: Draft, scope: Scope, *, looped: bool = False) -> Step:
    """The step with its inputs, checked against its component and the pipeline around it.

    Args:
        looped: a loop gives it further inputs.
    """
    part, component = draft.part, draft.component
    given = _read_given(draft)
    specs: Mapping[str, InputSpec] = component.inputs
    if not draft.declared:
        specs = {name: _inferred(value, scope) for name, value in given.items()}
        component = component.model_copy(update={"inputs": specs})
    for name, value in given.items():
        entry = part.at("inputs").at(name)
        check_input_bindings(entry, value, specs.get(name), scope, draft.name)
    _check_outputs(draft, component, scope)
    _check_other_bindings(draft, scope)
    if not looped and component.type not in CONTROL:
        check_given(part, component, given | _searched(draft), step=True)
    _check_own_texts(draft, component)
    return step_of(part, component, given, draft.outputs, draft.sweep, name=draft.name)


def _read_given(draft: Draft) -> dict[str, InputValue]:
    """What is given to each input, as its declaration wants it."""
    if draft.component.type in CONTROL or isinstance(draft.component, UnsupportedComponent):
        return {}
    given: dict[str, InputValue] = {}
    for name, entry in draft.part.entries("inputs"):
        spec = draft.component.inputs.get(name) if draft.declared else None
        value = read_input(entry, spec)
        if value is not None:
            given[name] = value
    return given


def _inferred(value: InputValue, scope: Scope) -> InputSpec:
    binding = sole_binding(value.path if value.path is not None else value.value)
    if binding is None:
        return inferred_input(value)
    bound = scope.type_of(binding) or ("uri_folder" if binding.root == "parent.jobs" else "string")
    return InputSpec(type=value.type or bound, mode=value.mode)


def _searched(draft: Draft) -> dict[str, InputValue]:
    """The inputs that a sweep gives to its trial."""
    if draft.sweep is None or not draft.declared:
        return {}
    known = draft.component.inputs
    for name in draft.sweep.search_space:
        if name not in known and not isinstance(draft.component, ComponentReference):
            draft.part.at("search_space").at(name).problem(
                f"The trial declares no input {name!r}.", suggest(name, known)
            )
    return {name: InputValue(value="") for name in draft.sweep.search_space if name in known}


def _check_own_texts(draft: Draft, component: Component) -> None:
    """Note what a component says of inputs and outputs that nobody declares."""
    if draft.declared or component.type in CONTROL:
        return
    where = draft.part if draft.sweep is None else draft.part.at("trial")
    space = None if draft.sweep is None else draft.sweep.search_space
    check_texts(where, component, declared=False, search_space=space)


def _check_outputs(draft: Draft, component: Component, scope: Scope) -> None:
    outputs = draft.part.at("outputs")
    produced = draft.produced
    for name, value in draft.outputs.items():
        entry = outputs.at(name)
        if draft.declared and produced is not None and name not in component.outputs:
            entry.problem(
                f"The component declares no output {name!r}.", suggest(name, component.outputs)
            )
        if value.path is None:
            continue
        where = entry.at("path") if isinstance(entry.data, dict) else entry
        for binding in bindings(value.path):
            if binding.root == "parent.outputs":
                if binding.names[0] not in scope.outputs:
                    remedy = suggest(binding.names[0], scope.outputs) or (
                        f"Add `{binding.names[0]}:` to the pipeline's outputs."
                    )
                    where.problem(
                        f"{binding.text}: the pipeline has no output {binding.names[0]!r}.", remedy
                    )
            elif binding.root in ("inputs", "outputs", "parent.jobs", "search_space"):
                remedy = "Write ${{parent.outputs.NAME}}, or a datastore's address."
                where.problem(f"{binding.text} is no place for an output.", remedy)


def _check_other_bindings(draft: Draft, scope: Scope) -> None:
    part, step = draft.part, draft.name
    if isinstance(draft.component, UnsupportedComponent):
        _check_bindings_anywhere(part, scope, step)
        return
    for text in walk_text(part, _OWN_BINDINGS):
        for binding in bindings(text.data):
            if binding.root == "parent.inputs":
                scope.check(text, binding, step)
            elif binding.root in ("parent.jobs", "parent.outputs"):
                text.problem(f"{binding.text} is known only to inputs and outputs.")


def _check_bindings_anywhere(part: Part, scope: Scope, step: str) -> None:
    """AutoML and the like take data in fields of their own, such as ``training_data``."""
    for text in walk_text(part, frozenset(["component", "outputs"])):
        for binding in bindings(text.data):
            if binding.root in ("parent.inputs", "parent.jobs"):
                scope.check(text, binding, step)


def step_of(
    part: Part,
    component: Component,
    inputs: dict[str, InputValue],
    outputs: dict[str, OutputValue],
    found: Sweep | None,
    *,
    name: str = "",
) -> Step:
    """The step that a step's or job's own fields describe around its component."""
    # What is written into a job belongs to its component; beside a component it overrides it.
    beside = part.has("component") and component.type in ("command", "reference", "sweep")
    queue = part.at("queue_settings")
    queue.fields(("job_tier", "priority"), closed=False)
    services = part.at("services")
    return Step(
        name=name,
        component=component,
        inputs=inputs,
        outputs=outputs,
        compute=command.read_compute(part.at("compute")),
        display_name=part.text("display_name"),
        description=part.text("description") or "",
        environment=read_environment(part.at("environment")) if beside else None,
        environment_variables=command.read_environment_variables(part) if beside else {},
        distribution=command.read_distribution(part.at("distribution")) if beside else None,
        resources=command.read_resources(part.at("resources")) if beside or found else None,
        limits=command.read_limits(part.at("limits")) if beside else None,
        sweep=found,
        identity=command.read_identity(part.at("identity")),
        queue_settings=queue.mapping() or None,
        services={key: entry.mapping() for key, entry in services.entries()},
        tags=part.labels("tags"),
        properties=part.labels("properties"),
    )
