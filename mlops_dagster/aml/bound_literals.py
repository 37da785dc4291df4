"""Literals that reach a step through the inputs of the pipelines around it.

What a step is given in place is checked where it is read. What it is given as
``${{parent.inputs.NAME}}`` is known only with the job, which gives the pipeline's inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.document import short_repr
from mlops_dagster.aml.input_literals import literal_problem
from mlops_dagster.aml.inputs_outputs import InputValue, Scalar
from mlops_dagster.aml.job import Component, Job, PipelineComponent, Step
from mlops_dagster.aml.step_locations import StepLocation, component_step_locations, step_locations
from mlops_dagster.errors import Problem


def bound_literal_problems(job: Job) -> list[Problem]:
    """Every literal in the job that does not fit the declared type, range or enum of an input."""
    locations = {location.path: location for location in step_locations(job)}
    return list(_problems(job.step, "", {}, locations))


def component_literal_problems(component: Component) -> list[Problem]:
    """As ``bound_literal_problems``, for the defaults of a component that no job uses yet."""
    locations = {location.path: location for location in component_step_locations(component)}
    return list(_problems(Step(component=component), "", {}, locations))


def literal_of(value: InputValue, outer: Mapping[str, Scalar]) -> Scalar | None:
    """The literal that an input is given; None for data, another step's output, or longer text.

    Args:
        outer: the literals that the pipeline around is given, by input.
    """
    binding = sole_binding(value.path if value.path is not None else value.value)
    if binding is not None:
        return outer.get(binding.names[0]) if binding.root == "parent.inputs" else None
    return None if isinstance(value.value, str) and bindings(value.value) else value.value


def _problems(
    step: Step,
    path: str,
    outer: Mapping[str, Scalar],
    locations: Mapping[str, StepLocation],
) -> Iterator[Problem]:
    literals: dict[str, Scalar] = {}
    for name, spec in step.component.inputs.items():
        given = step.inputs.get(name)
        literal = spec.default if given is None else literal_of(given, outer)
        if literal is None or spec.is_data:
            continue
        expected = literal_problem(literal, spec)
        if expected is None:
            literals[name] = literal
            continue
        binding = sole_binding(given.value if given is not None else None)
        subject = f"{binding.text} is" if binding else "Found"
        message = f"{subject} {short_repr(literal)}; {expected}."
        yield locations[path].problem(f"inputs.{name}", message)
    if isinstance(step.component, PipelineComponent):
        for key, child in step.component.jobs.items():
            yield from _problems(child, f"{path}.{key}" if path else key, literals, locations)
