"""Checks of bindings: that what a step takes from its pipeline exists, and has the right type.

The Azure tools leave most of this to the service, which refuses the job when it is submitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_dagster.aml.bindings import (
    JOB_ROOTS,
    TRIGGER_TIMES,
    Binding,
    bindings,
    optional_bindings,
    sole_binding,
)
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue, OutputSpec
from mlops_dagster.aml.job import Component, ComponentReference, UnsupportedComponent
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.types import LITERAL_TYPES, InputType
from mlops_dagster.errors import suggest

_ANYWHERE = (*JOB_ROOTS, *TRIGGER_TIMES)


@dataclass
class Scope:
    """The pipeline around a step.

    Attributes:
        inputs, outputs: what the pipeline declares, or is given.
        steps: each step's outputs by name; None where only the service knows them.
        untyped_inputs: inputs whose type is settled by the step that takes them.
    """

    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, OutputSpec] | None] = field(default_factory=dict)
    untyped_inputs: frozenset[str] = frozenset()

    def type_of(self, binding: Binding) -> InputType | None:
        """The type of what a binding brings; None where it is not known."""
        if binding.root == "parent.inputs":
            spec = self.inputs.get(binding.names[0])
            return spec.type if spec and binding.names[0] not in self.untyped_inputs else None
        if binding.root == "parent.jobs" and len(binding.names) == 2:
            step, output = binding.names
            produced = (self.steps.get(step) or {}).get(output)
            return produced.type if produced else None
        return None

    def check(self, node: Node, binding: Binding, step: str) -> bool:
        """Whether what a step's input is bound to exists; adds a mistake where it does not."""
        match binding.root, binding.names:
            case "parent.inputs", (name,):
                return _check_exists(node, binding, name, self.inputs, "The pipeline has no input")
            case "parent.jobs", (other, *output) if other == step:
                node.add_problem(
                    f"{binding.text} is the step's own output.", "Bind another step's."
                )
                return not output and False
            case "parent.jobs", (other, output):
                return self._check_step_output(node, binding, other, output)
            case "inputs" | "outputs", (name,):
                remedy = f"Write ${{{{parent.inputs.{name}}}}}."
                node.add_problem(f"{binding.text} is known only inside a command.", remedy)
                return False
            case root, () if root.startswith(("jobs.", "parent.")) or root not in _ANYWHERE:
                remedy = "Write ${{parent.inputs.NAME}} or ${{parent.jobs.STEP.outputs.NAME}}."
                node.add_problem(f"{binding.text} is no binding.", remedy)
                return False
            case "parent.jobs" | "parent.outputs" | "search_space", _:
                remedy = "Write ${{parent.inputs.NAME}} or ${{parent.jobs.STEP.outputs.NAME}}."
                node.add_problem(f"{binding.text} cannot be given to an input.", remedy)
                return False
        return True

    def _check_step_output(self, node: Node, binding: Binding, step: str, output: str) -> bool:
        if step not in self.steps:
            node.add_problem(
                f"{binding.text}: there is no step {step!r}.", suggest(step, self.steps)
            )
            return False
        outputs = self.steps[step]
        if outputs is None:
            return True
        return _check_exists(node, binding, output, outputs, f"The step {step!r} has no output")


def _check_exists(
    node: Node, binding: Binding, name: str, known: Mapping[str, Any], message: str
) -> bool:
    if name in known or any(other.startswith(f"{name}.") for other in known):
        return True
    remedy = suggest(name, known) or "Declare it, or remove the binding."
    node.add_problem(f"{binding.text}: {message[0].lower()}{message[1:]} {name!r}.", remedy)
    return False


def type_conflict(source: InputType, spec: InputSpec) -> str | None:
    """Why what is of type ``source`` cannot be given to an input; None where it can.

    Azure ML itself lets any literal stand for another, and a folder for a model.
    """
    if (source in LITERAL_TYPES) != (spec.type in LITERAL_TYPES):
        return f"is {_with_article(source)}, and the input is declared {spec.type}"
    whole_folders = ("mlflow_model", "triton_model", "mltable")
    if (source == "uri_file" and spec.type in whole_folders) or (
        spec.type == "uri_file" and source in whole_folders
    ):
        return f"is {_with_article(source)}, and the input is declared {spec.type}"
    return None


def _with_article(type: InputType) -> str:
    return f"an {type}" if type[0] in "aeio" else f"a {type}"


def check_input_bindings(
    node: Node, value: InputValue, spec: InputSpec | None, scope: Scope, step: str
) -> None:
    """Add a mistake for each wrong binding of one input of a step."""
    text = value.path if value.path is not None else value.value
    if not isinstance(text, str):
        return
    where = (
        node.at("path" if value.path is not None else "value")
        if isinstance(node.data, dict)
        else node
    )
    whole = sole_binding(text)
    for binding in bindings(text):
        if not scope.check(where, binding, step):
            continue
        if whole is None and binding.root == "parent.jobs":
            where.add_problem(f"{binding.text} is part of a longer text.", "Bind the path alone.")
    if whole is None or spec is None:
        return
    source = scope.type_of(whole)
    reason = type_conflict(source, spec) if source else None
    if reason:
        where.add_problem(f"{whole.text} {reason}.", _type_remedy(source, spec, scope))


def _type_remedy(source: InputType | None, spec: InputSpec, scope: Scope) -> str:
    if source in LITERAL_TYPES and spec.type not in LITERAL_TYPES:
        return f"Give the pipeline's input data: {{type: {spec.type}, path: ...}}."
    fitting = [name for name, other in scope.inputs.items() if other.type == spec.type]
    return f"Of that type is {fitting[0]!r}." if len(fitting) == 1 else "Bind one of that type."


def check_output_path(node: Node, path: str, outputs: Mapping[str, OutputSpec]) -> None:
    """Add a mistake for each binding in an output's path that stands for no place.

    Args:
        outputs: those of the pipeline around.
    """
    for binding in bindings(path):
        if binding.root == "parent.outputs":
            remedy = f"Add `{binding.names[0]}:` to the pipeline's outputs."
            if binding.names[0] not in outputs:
                node.add_problem(
                    f"{binding.text}: the pipeline has no output {binding.names[0]!r}.",
                    suggest(binding.names[0], outputs) or remedy,
                )
        elif binding.root in ("inputs", "outputs", "parent.jobs", "search_space"):
            remedy = "Write ${{parent.outputs.NAME}}, or a datastore's address."
            node.add_problem(f"{binding.text} is no place for an output.", remedy)
        elif binding.root not in (*_ANYWHERE, "output_name", "parent.inputs"):
            remedy = "A path may hold ${{name}}, ${{output_name}} and ${{default_datastore}}."
            node.add_problem(f"{binding.text} is no binding.", remedy)


def check_inputs_given(
    node: Node, component: Component, given: Mapping[str, InputValue], *, step: bool
) -> None:
    """Add a mistake for each input that the component requires in vain, or does not declare.

    The Azure tools take an undeclared input out of a step: that is a warning.
    """
    if isinstance(component, ComponentReference | UnsupportedComponent):
        return
    what = f"The component{f' {component.name!r}' if component.name else ''}"
    inputs = node.at("inputs")
    for name in given:
        if name in component.inputs:
            continue
        remedy = suggest(name, component.inputs)
        if step:
            message = f"{what} declares no input {name!r}; it is left out."
            inputs.at(name).add_warning(message, remedy)
        else:
            inputs.at(name).add_problem(f"{what} declares no input {name!r}.", remedy)
    for name, spec in component.inputs.items():
        if name in given or spec.optional or spec.default is not None or inputs.has(name):
            continue
        inputs.add_problem(
            f"The required input {name!r} ({spec.type}) is not given.",
            f"Add `{name}:` to the {'step' if step else 'job'}'s inputs.",
        )


def check_command(
    node: Node,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    *,
    declared: bool,
    search_space: Mapping[str, Any] | None = None,
) -> None:
    """Add a mistake for each binding of a command that nothing declares.

    Args:
        declared: whether a component declares the inputs. A job only gives some, and may leave
            out one that is used in ``$[[...]]``.
    """
    if not isinstance(node.data, str):
        return
    optional = optional_bindings(node.data)
    for binding in dict.fromkeys(bindings(node.data)):
        match binding.root, binding.names:
            case "inputs", (name,):
                if binding not in optional or declared:
                    _check_exists(node, binding, name, inputs, "There is no input")
            case "outputs", (name,):
                _check_exists(node, binding, name, outputs, "There is no output")
            case "search_space", (name,):
                known = {} if search_space is None else search_space
                _check_exists(node, binding, name, known, "The search space has no")
            case "parent.inputs" | "parent.outputs" | "parent.jobs", _:
                kind = "outputs" if binding.root == "parent.outputs" else "inputs"
                remedy = (
                    f"Give it to the step under `{kind}:`, and write ${{{{{kind}.NAME}}}} here."
                )
                node.add_problem(f"{binding.text} is not known inside a command.", remedy)
            case root, _ if root not in _ANYWHERE:
                remedy = "Write ${{inputs.NAME}} or ${{outputs.NAME}}."
                node.add_problem(f"{binding.text} is no binding.", remedy)


def text_nodes(node: Node, leave_out: frozenset[str] = frozenset()) -> Iterator[Node]:
    """Every text below a node, without those in its fields named in ``leave_out``."""
    if isinstance(node.data, str):
        yield node
    elif isinstance(node.data, dict):
        for key in node.data:
            if key not in leave_out:
                yield from text_nodes(node.at(key))
    elif isinstance(node.data, list):
        for position in range(len(node.data)):
            yield from text_nodes(node.at(position))
