"""What a step reads and writes: its literals checked, the addresses of its data resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mlops_dagster.aml.bindings import TRIGGER_TIMES, Binding, bindings, fill, sole_binding
from mlops_dagster.aml.document import read_document
from mlops_dagster.aml.input_literals import literal_problem
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue, OutputValue, Scalar
from mlops_dagster.aml.job import Step
from mlops_dagster.errors import InvalidDocument, InvalidRequest, NotFound
from mlops_dagster.workspace.local.ground.options import PlanOptions
from mlops_dagster.workspace.local.ground.plan import Data, Input, Output, Produced, Value
from mlops_dagster.workspace.local.kinds.sweep.search_space import names_given
from mlops_dagster.workspace.local.planning.step_context import (
    StepContext,
    binding_lookup,
    bound_input,
)
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.storage.datastores import DEFAULT_DATASTORE
from mlops_dagster.workspace.local.storage.storage import Storage


class DataPlanner:
    """Resolves the inputs and outputs of the steps of one job.

    Args:
        source: the job's file, for messages.
        notify: is told of a download.
    """

    def __init__(
        self,
        storage: Storage,
        options: PlanOptions,
        source: Path | None,
        notify: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._options = options
        self._source = source
        self._notify = notify

    def inputs(self, step: Step, context: StepContext) -> dict[str, Input | None]:
        """What each declared input is; None for an optional one that is not given."""
        found: dict[str, Input | None] = {}
        drawn = names_given(step.sweep.search_space) if step.sweep else ()
        for name, spec in step.component.inputs.items():
            value = step.inputs.get(name)
            where = context.field_path(f"inputs.{name}")
            resolved = self._input(value, spec, context, where) if value is not None else None
            if resolved is None and spec.default is not None:
                resolved = Value(spec.default)
            if resolved is None and not spec.optional and name not in drawn:
                raise InvalidRequest(
                    f"{where} is required and is not given.", remedy=f"--set {where}=VALUE"
                )
            if value is not None and isinstance(resolved, Data | Produced):
                resolved = replace(resolved, mode=value.mode or spec.mode or resolved.mode)
            found[name] = resolved
        unknown = [name for name in step.inputs if name not in found]
        if unknown:
            raise NotFound("input", context.field_path(f"inputs.{unknown[0]}"), known=tuple(found))
        return found

    def _input(
        self, value: InputValue, spec: InputSpec, context: StepContext, where: str
    ) -> Input | None:
        type_ = value.type or spec.type
        given = value.value if value.path is None else value.path
        if isinstance(given, str):
            if (binding := sole_binding(given)) and binding.root.startswith("parent."):
                source = bound_input(binding, context)
                if isinstance(source, Produced) and spec.optional:
                    return replace(source, optional=context.runs_without_optional)
                if not isinstance(source, Value):
                    return source
                if not spec.is_data:
                    return _checked_literal(source.value, spec, where)
                given = str(source.value)
            else:
                given = fill(given, _lookup_with(_job_bindings(context), context))
                _refuse_trigger_time(given, where)
        if given is None:
            return None
        if value.path is None and not spec.is_data:
            if "\0" in str(given):
                raise InvalidRequest(
                    f"{where} holds a NUL character, which no process can be given."
                )
            return _checked_literal(given, spec, where)
        try:
            found = self._storage.resolve(
                str(given),
                field=where,
                type=type_,
                instead=self._options.substitutions.address,
                say=self._notify,
            )
        except NotFound as error:
            raise _located(error, self._source, where) from None
        return Data(type_ if spec.is_data else "uri_file", found.uri, found.version)

    def output(
        self, context: StepContext, name: str, type_: str, value: OutputValue | None
    ) -> Output:
        """Where an output of a type goes, and what it is registered as."""
        value = value or OutputValue()
        type_ = value.type or type_
        default = (
            records.artifacts_uri(context.job)
            if name in records.ARTIFACTS and type_ == "uri_folder"
            else self._storage.outputs.default_output(context.job, name, type_, context.datastore)
        )
        if value.path is None or sole_binding(value.path) is not None:
            return Output(type_, default, False, value.name, value.version)
        uri = fill(
            value.path, _lookup_with({**_job_bindings(context), "output_name": name}, context)
        )
        _refuse_trigger_time(uri, context.field_path(f"outputs.{name}.path"))
        self._storage.path_of(uri)
        return Output(type_, uri, True, value.name, value.version)


def _located(error: NotFound, source: Path | None, field: str) -> NotFound:
    """The error with the file and line of the field that names what is not there."""
    if source is None:
        return error
    try:
        problem = read_document(source).problem(tuple(field.split(".")), "")
    except InvalidDocument:  # the file has changed or gone since it was read
        return error
    return NotFound(error.kind, error.name, remedy=error.remedy, where=problem.where)


def _checked_literal(literal: Scalar, spec: InputSpec, where: str) -> Value:
    """The literal, as it was given. Raises InvalidRequest where it does not fit its declaration."""
    if expected := literal_problem(literal, spec):
        raise InvalidRequest(f"{where} is {literal!r}; {expected}.", remedy=f"--set {where}=VALUE")
    return Value(literal)


def _refuse_trigger_time(text: str, where: str) -> None:
    """Raise InvalidRequest where a job that no schedule starts asks for the time of its trigger."""
    for binding in bindings(text):
        if binding.root in TRIGGER_TIMES:
            raise InvalidRequest(
                f"{where} is {binding.text}, which only a schedule knows.",
                remedy=f"--set {where}=VALUE",
            )


def _job_bindings(context: StepContext) -> dict[str, str]:
    """What the bindings in a path stand for that a job is known by."""
    return {"name": context.job, "default_datastore": context.datastore or DEFAULT_DATASTORE}


def _lookup_with(own: Mapping[str, str], context: StepContext) -> Callable[[Binding], str | None]:
    outer = binding_lookup(context)
    return lambda binding: own.get(binding.root) or outer(binding)
