"""The graph of a pipeline: what each step's inputs come from, and a step as a job of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from mlops_dagster.aml.bindings import Binding, bindings, fill, sole_binding
from mlops_dagster.aml.inputs_outputs import InputValue, OutputValue, literal_text
from mlops_dagster.aml.job import DoWhile, IfElse, Job, ParallelFor, PipelineComponent, Step
from mlops_dagster.errors import InvalidRequest, NotFound


@dataclass(frozen=True)
class PipelineInput:
    """An input of the pipeline itself."""

    name: str


@dataclass(frozen=True)
class StepOutput:
    """An output of another step of the same pipeline."""

    step: str
    output: str


@dataclass(frozen=True)
class GivenValue:
    """A literal or data that the YAML gives; a literal may hold bindings within other text."""

    value: InputValue


Source = PipelineInput | StepOutput | GivenValue


def source_of(value: InputValue) -> Source:
    """Where an input of a step comes from."""
    binding = sole_binding(value.path if value.path is not None else value.value)
    match binding:
        case Binding("parent.inputs", (name,)):
            return PipelineInput(name)
        case Binding("parent.jobs", (step, output)):
            return StepOutput(step, output)
        case _:
            return GivenValue(value)


def upstreams(pipeline: PipelineComponent) -> dict[str, dict[str, Source]]:
    """For each step, in the order of the YAML, the source of each input that it is given."""
    return {
        name: {key: source_of(value) for key, value in step.inputs.items()}
        for name, step in pipeline.jobs.items()
    }


def dependencies(pipeline: PipelineComponent) -> dict[str, dict[str, str]]:
    """For each step, the steps that must end before it, and why in a few words."""
    waits: dict[str, dict[str, str]] = {name: {} for name in pipeline.jobs}
    for name, sources in upstreams(pipeline).items():
        for key, source in sources.items():
            if isinstance(source, StepOutput) and source.step in waits:
                waits[name][source.step] = (
                    f"{name}.inputs.{key} is {source.step}.outputs.{source.output}"
                )
    for name, step in pipeline.jobs.items():
        match step.component:
            case IfElse() as branch:
                binding = sole_binding(branch.condition)
                if binding and binding.root == "parent.jobs" and binding.names[0] in waits:
                    waits[name][binding.names[0]] = f"{name}.condition is {binding.text}"
                for block in (*branch.true_block, *branch.false_block):
                    if block in waits:
                        waits[block][name] = f"{block} is a block of {name}"
            case DoWhile(body=body) | ParallelFor(body=body) if body in waits:
                # The loop runs its body; what the body waits for, the loop waits for.
                waits[name] |= {
                    other: reason for other, reason in waits[body].items() if other != name
                }
            case _:
                pass
    return waits


def order(pipeline: PipelineComponent) -> list[str]:
    """The steps, each after those it waits for; else as the YAML has them.

    Raises InvalidRequest where steps wait for each other.
    """
    waits = dependencies(pipeline)
    if found := cycle(waits):
        raise InvalidRequest(f"Steps wait for each other: {' -> '.join(found)}.")
    done: dict[str, None] = {}
    while len(done) < len(waits):
        ready = next(
            name for name in waits if name not in done and waits[name].keys() <= done.keys()
        )
        done[ready] = None
    return list(done)


def cycle(waits: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Steps that wait for each other, from the first in the YAML back to it; empty where none do."""
    try:
        TopologicalSorter({name: list(others) for name, others in waits.items()}).prepare()
    except CycleError as error:
        found = [str(name) for name in error.args[1][1:]]
        first = found.index(min(found, key=list(waits).index))
        return [*found[first:], *found[: first + 1]]
    return []


def step_job(job: Job, step: str, inputs: Mapping[str, InputValue]) -> Job:
    """One step of a pipeline job as a job of its own, to be submitted alone.

    Args:
        inputs: what the step is to take instead of what the pipeline gives it; needed for every
            input that is an output of another step.

    What the pipeline sets for all its steps (compute, datastore, forced reruns) is folded in.
    Raises NotFound for an unknown step, InvalidRequest where the job is no pipeline or an input
    stays open.
    """
    pipeline = job.step.component
    if not isinstance(pipeline, PipelineComponent):
        raise InvalidRequest(f"A {pipeline.type} job has no steps.")
    if step not in pipeline.jobs:
        raise NotFound("step", step, known=tuple(pipeline.jobs))
    found = pipeline.jobs[step]
    literals = _literals(job, pipeline)
    given = {
        name: inputs.get(name) or _input_value(name, found, value, job, pipeline, literals)
        for name, value in found.inputs.items()
    }
    extra = {name: value for name, value in inputs.items() if name not in given}
    alone = _with_literals(found, literals).model_copy(
        update={
            "name": "",
            "component": _with_settings(found, pipeline),
            "inputs": {name: value for name, value in given.items() if value is not None} | extra,
            "outputs": _step_outputs(found, job, pipeline),
        }
    )
    if alone.compute is None:
        compute = pipeline.settings.default_compute or job.step.compute
        alone = alone.model_copy(update={"compute": _fill_literals(compute, literals)})
    return Job(
        step=alone,
        display_name=found.display_name or step,
        description=found.description,
        experiment_name=job.experiment_name,
        tags=job.tags | found.tags,
        properties=found.properties,
        source=job.source,
    )


def _literals(job: Job, pipeline: PipelineComponent) -> dict[str, str]:
    """The text of each literal input of the pipeline, given or by default."""
    found: dict[str, str] = {}
    for name, spec in pipeline.inputs.items():
        value = job.step.inputs.get(name)
        literal = value.value if value is not None else spec.default
        if literal is not None:
            found[name] = literal_text(literal)
    return found


def _input_value(
    name: str,
    step: Step,
    value: InputValue,
    job: Job,
    pipeline: PipelineComponent,
    literals: Mapping[str, str],
) -> InputValue | None:
    """What the pipeline gives to an input; None where it is an optional one that has nothing."""
    match source_of(value):
        case PipelineInput(outer):
            given = job.step.inputs.get(outer)
            default = pipeline.inputs[outer].default if outer in pipeline.inputs else None
            if given is None and default is not None:
                given = InputValue(value=default)
            return given and given.model_copy(update={"mode": value.mode or given.mode})
        case StepOutput(other, output):
            spec = step.component.inputs.get(name)
            if spec is not None and spec.optional:
                return None
            raise InvalidRequest(
                f"The input {name!r} of step {step.name!r} is the output {output!r} of {other!r}.",
                remedy=f"Give it, or run {other!r} first.",
            )
        case GivenValue(InputValue(value=str(text))) if bindings(text):
            return value.model_copy(update={"value": _fill_literals(text, literals)})
        case _:
            return value


def _step_outputs(step: Step, job: Job, pipeline: PipelineComponent) -> dict[str, OutputValue]:
    outputs: dict[str, OutputValue] = {}
    store = pipeline.settings.default_datastore
    for name in {**step.component.outputs, **step.outputs}:
        value = step.outputs.get(name, OutputValue())
        binding = sole_binding(value.path)
        if binding is not None and binding.root == "parent.outputs":
            outer = job.step.outputs.get(binding.names[0], OutputValue())
            value = OutputValue(
                type=value.type or outer.type,
                path=outer.path,
                mode=value.mode or outer.mode,
                name=value.name or outer.name,
                version=value.version or outer.version,
                description=value.description or outer.description,
            )
        if value.path is None and store is not None:
            # The place that Azure ML chooses, in the pipeline's datastore.
            path = f"azureml://datastores/{store}/paths/azureml/${{{{name}}}}/{name}/"
            value = value.model_copy(update={"path": path})
        outputs[name] = value
    return outputs


def _with_settings(step: Step, pipeline: PipelineComponent) -> object:
    component = step.component
    if isinstance(component, PipelineComponent):
        mine, outer = component.settings, pipeline.settings
        settings = mine.model_copy(
            update={
                "default_compute": mine.default_compute or outer.default_compute,
                "default_datastore": mine.default_datastore or outer.default_datastore,
                "force_rerun": mine.force_rerun or outer.force_rerun,
            }
        )
        return component.model_copy(update={"settings": settings})
    if pipeline.settings.force_rerun:
        return component.model_copy(update={"is_deterministic": False})
    return component


def _with_literals(step: Step, literals: Mapping[str, str]) -> Step:
    """The step with the pipeline's literals in its compute, variables, sizes and limits."""
    update: dict[str, object] = {
        "compute": _fill_literals(step.compute, literals),
        "environment_variables": {
            name: _fill_literals(text, literals)
            for name, text in step.environment_variables.items()
        },
    }
    for field in ("environment", "distribution", "resources", "limits"):
        value = getattr(step, field)
        if value is not None:
            texts = {
                name: _fill_literals(text, literals)
                for name in type(value).model_fields
                if isinstance(text := getattr(value, name), str)
            }
            update[field] = type(value).model_validate(value.model_dump() | texts)
    return step.model_copy(update=update)


def _fill_literals(text: str | None, literals: Mapping[str, str]) -> str | None:
    if text is None or "${{" not in text:
        return text
    return fill(
        text,
        lambda binding: (
            literals.get(binding.names[0], "") if binding.root == "parent.inputs" else binding.text
        ),
    )
