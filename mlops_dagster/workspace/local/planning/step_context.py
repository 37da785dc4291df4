"""The surroundings of a step while it is planned, and what the bindings in its fields mean there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mlops_dagster.aml.bindings import Binding, fill, sole_binding
from mlops_dagster.aml.inputs_outputs import OutputValue
from mlops_dagster.aml.job import PipelineSettings, Step
from mlops_dagster.aml.references import parse_reference
from mlops_dagster.errors import InvalidRequest, NotFound
from mlops_dagster.workspace.local.ground.plan import Input, Value, literal_text


@dataclass(frozen=True)
class StepContext:
    """The name of a step, and what the pipelines around it say."""

    job: str
    root: str
    path: str = ""
    parent: str | None = None
    reuse: bool = False
    compute: str | None = None
    datastore: str | None = None
    runs_without_optional: bool = False
    inputs: Mapping[str, Input | None] = field(default_factory=dict)
    sibling: Callable[[str, str], Input | None] = lambda _step, _output: None

    def field_path(self, field_name: str) -> str:
        """A field of the step, for a message."""
        return f"jobs.{self.path.replace('.', '.jobs.')}.{field_name}" if self.path else field_name


def child_context(
    context: StepContext,
    settings: PipelineSettings,
    step: Step,
    key: str,
    job: str,
    inputs: Mapping[str, Input | None],
    sibling: Callable[[str, str], Input | None],
) -> StepContext:
    """The context of a step inside the pipeline of ``context``."""
    lookup = binding_lookup(context)
    compute = step.compute or settings.default_compute
    datastore = settings.default_datastore
    return replace(
        context,
        job=job,
        path=f"{context.path}.{key}" if context.path else key,
        parent=context.job,
        reuse=context.reuse and not settings.force_rerun,
        compute=fill(compute, lookup) if compute else context.compute,
        datastore=_datastore_name(datastore) if datastore else context.datastore,
        runs_without_optional=settings.continue_run_on_failed_optional_input,
        inputs=inputs,
        sibling=sibling,
    )


def child_outputs(
    child: Step, step: Step, places: Mapping[str, OutputValue]
) -> dict[str, OutputValue]:
    """Where a pipeline's own outputs are to go, by the names that the child's outputs have."""
    found = {}
    for output, value in child.outputs.items():
        binding = sole_binding(value.path)
        if binding is not None and binding.root == "parent.outputs":
            outer = places.get(binding.names[0]) or step.outputs.get(binding.names[0])
            if outer is not None:
                own = {"type": value.type or outer.type, "name": value.name or outer.name}
                found[output] = outer.model_copy(update=own)
    return found


def bound_input(binding: Binding, context: StepContext) -> Input | None:
    """What an input that is nothing but a binding is; None for one that is not given.

    Raises NotFound for an input, step or output that the pipeline does not have.
    """
    if binding.root == "parent.inputs":
        if binding.names[0] not in context.inputs:
            raise NotFound("input of the pipeline", binding.names[0], known=tuple(context.inputs))
        return context.inputs[binding.names[0]]
    if binding.root == "parent.jobs" and len(binding.names) == 2:
        return context.sibling(*binding.names)
    raise InvalidRequest(f"{binding.text} cannot stand at {context.path}.")


def binding_lookup(context: StepContext) -> Callable[[Binding], str | None]:
    """What a binding inside other text stands for: literals of the pipeline around."""

    def lookup(binding: Binding) -> str | None:
        if binding.root == "parent.inputs":
            source = bound_input(binding, context)
            if isinstance(source, Value):
                return literal_text(source.value)
            if source is None:
                return None
            raise InvalidRequest(f"{binding.text} is data, which cannot be part of other text.")
        return binding.text  # the kind's own module fills in what is left when it runs

    return lookup


def seconds(
    timeout: int | str | None, lookup: Callable[[Binding], str | None], context: StepContext
) -> float | None:
    """A time limit, with the bindings in it filled in; raises InvalidRequest for no number."""
    if timeout is None:
        return None
    try:
        return float(fill(str(timeout), lookup))
    except ValueError:
        message = f"{context.field_path('limits.timeout')} is {timeout!r}; a number of seconds is expected."
        raise InvalidRequest(message) from None


def _datastore_name(text: str) -> str:
    reference = parse_reference(text)
    name = getattr(reference, "datastore", None) or getattr(reference, "name", None)
    return name or text
