"""Where a step stands while a plan is made, and what the bindings in its fields are there."""

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
class Frame:
    """Where a step stands: its name and what the pipelines around it say."""

    job: str
    root: str
    path: str = ""
    parent: str | None = None
    reuse: bool = False
    compute: str | None = None
    datastore: str | None = None
    inputs: Mapping[str, Input | None] = field(default_factory=dict)
    sibling: Callable[[str, str], Input | None] = lambda _step, _output: None

    def named(self, field_name: str) -> str:
        """A field of the step, for a message."""
        return f"jobs.{self.path.replace('.', '.jobs.')}.{field_name}" if self.path else field_name


def inside(
    frame: Frame,
    settings: PipelineSettings,
    step: Step,
    key: str,
    job: str,
    inputs: Mapping[str, Input | None],
    sibling: Callable[[str, str], Input | None],
) -> Frame:
    """The frame of a step inside the pipeline of ``frame``."""
    lookup = lookup_in(frame)
    compute = step.compute or settings.default_compute
    datastore = settings.default_datastore
    return replace(
        frame,
        job=job,
        path=f"{frame.path}.{key}" if frame.path else key,
        parent=frame.job,
        reuse=frame.reuse and not settings.force_rerun,
        compute=fill(compute, lookup) if compute else frame.compute,
        datastore=_datastore_name(datastore) if datastore else frame.datastore,
        inputs=inputs,
        sibling=sibling,
    )


def places_in(child: Step, step: Step, places: Mapping[str, OutputValue]) -> dict[str, OutputValue]:
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


def bound(binding: Binding, frame: Frame) -> Input | None:
    """What an input that is nothing but a binding is; None for one that is not given.

    Raises NotFound for an input, step or output that the pipeline does not have.
    """
    if binding.root == "parent.inputs":
        if binding.names[0] not in frame.inputs:
            raise NotFound("input of the pipeline", binding.names[0], known=tuple(frame.inputs))
        return frame.inputs[binding.names[0]]
    if binding.root == "parent.jobs" and len(binding.names) == 2:
        return frame.sibling(*binding.names)
    raise InvalidRequest(f"{binding.text} cannot stand at {frame.path}.")


def lookup_in(frame: Frame) -> Callable[[Binding], str | None]:
    """What a binding inside other text stands for: literals of the pipeline around."""

    def lookup(binding: Binding) -> str | None:
        if binding.root == "parent.inputs":
            source = bound(binding, frame)
            if isinstance(source, Value):
                return literal_text(source.value)
            if source is None:
                return None
            raise InvalidRequest(f"{binding.text} is data, which cannot be part of other text.")
        return binding.text  # the kind's own module fills in what is left when it runs

    return lookup


def seconds(
    timeout: int | str | None, lookup: Callable[[Binding], str | None], frame: Frame
) -> float | None:
    """A time limit, with the bindings in it filled in; raises InvalidRequest for no number."""
    if timeout is None:
        return None
    try:
        return float(fill(str(timeout), lookup))
    except ValueError:
        message = (
            f"{frame.named('limits.timeout')} is {timeout!r}; a number of seconds is expected."
        )
        raise InvalidRequest(message) from None


def _datastore_name(text: str) -> str:
    reference = parse_reference(text)
    name = getattr(reference, "datastore", None) or getattr(reference, "name", None)
    return name or text
