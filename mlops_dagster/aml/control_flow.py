"""Control flow that is decided before anything runs, written out as plain steps.

``parallel_for`` over items that stand in the YAML becomes a step an item; ``if_else`` on true or
false, or on a literal input of the pipeline, leaves one of its blocks out. What a step decides at
run time, or what another step reads from, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_dagster.aml.bindings import bindings, sole_binding
from mlops_dagster.aml.inputs_outputs import InputValue, Scalar
from mlops_dagster.aml.job import IfElse, Job, ParallelFor, PipelineComponent, Step

Literals = Mapping[str, Scalar]


def expand_control_flow(job: Job) -> Job:
    """The job with such control flow written out, in nested pipelines too."""
    return job.model_copy(update={"step": _expand_step(job.step, {})})


def _expand_step(step: Step, outer: Literals) -> Step:
    component = step.component
    if not isinstance(component, PipelineComponent):
        return step
    literals = {
        name: value
        for name, spec in component.inputs.items()
        if (value := _literal_value(step.inputs.get(name), spec.default, outer)) is not None
    }
    inner = component.model_copy(update={"jobs": _expand_steps(component, literals)})
    return step.model_copy(update={"component": inner})


def _expand_steps(pipeline: PipelineComponent, literals: Literals) -> dict[str, Step]:
    bound = set(_steps_read_by_others(pipeline))
    done: set[str] = set()
    left_out: set[str] = set()
    loops: dict[str, dict[str, dict[str, InputValue]]] = {}
    for key, step in pipeline.jobs.items():
        match step.component:
            case IfElse() as node if (answer := _condition_value(node, literals)) is not None:
                out = set(node.false_block if answer else node.true_block)
                if not out & bound:
                    done.add(key)
                    left_out |= out
            case ParallelFor(items=items, body=body) if not isinstance(items, str):
                if not {key, body} & bound and not _has_explicit_output(pipeline.jobs[body]):
                    done.add(key)
                    loops[body] = _items_by_name(items)
            case _:
                pass
    found: dict[str, Step] = {}
    for key, step in pipeline.jobs.items():
        if key in loops:
            for name, item in loops[key].items():
                given = {"name": f"{key}_{name}", "inputs": {**step.inputs, **item}}
                found[f"{key}_{name}"] = _expand_step(step.model_copy(update=given), literals)
        elif key not in done | left_out:
            found[key] = _expand_step(step, literals)
    return found


def _items_by_name(
    items: Mapping[str, dict[str, InputValue]] | tuple[dict[str, InputValue], ...],
) -> dict[str, dict[str, InputValue]]:
    if isinstance(items, tuple):
        return {str(position): item for position, item in enumerate(items)}
    return dict(items)


def _condition_value(node: IfElse, literals: Literals) -> bool | None:
    """What a condition comes to; None where only a run can tell."""
    if isinstance(node.condition, bool):
        return node.condition
    binding = sole_binding(node.condition)
    value = literals.get(binding.names[0]) if binding and binding.root == "parent.inputs" else None
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _literal_value(
    given: InputValue | None, default: Scalar | None, outer: Literals
) -> Scalar | None:
    value = given.value if given is not None else default
    binding = sole_binding(value)
    if binding is None:
        return value
    return outer.get(binding.names[0]) if binding.root == "parent.inputs" else None


def _steps_read_by_others(pipeline: PipelineComponent) -> Iterator[str]:
    """The steps that others read from."""
    for step in pipeline.jobs.values():
        for value in step.inputs.values():
            for binding in bindings(str(value.path if value.path is not None else value.value)):
                if binding.root == "parent.jobs":
                    yield binding.names[0]


def _has_explicit_output(step: Step) -> bool:
    """Whether an output has a place of its own, which several runs would write to."""
    return any(value.path is not None for value in step.outputs.values())
