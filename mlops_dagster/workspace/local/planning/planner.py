"""From a job of the language to a plan: every reference resolved and checked, nothing started."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.aml.bindings import Binding, fill, sole_binding
from mlops_dagster.aml.control_flow import expand_control_flow
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue, OutputValue
from mlops_dagster.aml.job import Job, PipelineComponent, Step, SweepLimits
from mlops_dagster.aml.references import LocalPath, parse_reference
from mlops_dagster.errors import InvalidRequest, NotFound, Unsupported
from mlops_dagster.workspace.local.ground.plan import (
    Data,
    Group,
    Input,
    Leaf,
    Output,
    Plan,
    Produced,
    Runtime,
    Trials,
    Value,
)
from mlops_dagster.workspace.local.ground.terms import Terms
from mlops_dagster.workspace.local.kinds import table as kinds
from mlops_dagster.workspace.local.kinds.sweep.search_space import names_given
from mlops_dagster.workspace.local.planning import azure_only
from mlops_dagster.workspace.local.planning.step_context import (
    Frame,
    bound,
    inside,
    lookup_in,
    places_in,
    seconds,
)
from mlops_dagster.workspace.local.queue.queue import PIPELINES, PIPELINES_AT_ONCE
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.job_names import free_name
from mlops_dagster.workspace.local.records.jobs import NewJob
from mlops_dagster.workspace.local.software.choice import choose
from mlops_dagster.workspace.local.storage.datastores import DEFAULT_DATASTORE
from mlops_dagster.workspace.local.storage.snapshots import Snapshots
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus

if TYPE_CHECKING:
    from mlops_dagster.workspace.local.records.compute import LocalCompute

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_LONGEST_NAME = 255
_PLAIN = Terms()
_THIS_MACHINE = ("serverless", "local")


@dataclass(frozen=True)
class Planned:
    """A plan, and the rows of its jobs, the submitted one first."""

    plan: Plan
    rows: tuple[NewJob, ...]


class Planner:
    """Makes plans.

    Args:
        is_taken: tells whether a job of a name exists already.
    """

    def __init__(
        self,
        storage: Storage,
        compute: LocalCompute,
        snapshots: Snapshots,
        is_taken: Callable[[str], bool],
    ) -> None:
        self._storage = storage
        self._compute = compute
        self._snapshots = snapshots
        self._is_taken = is_taken

    def plan(
        self, job: Job, *, name: str, experiment: str, reuse: bool, terms: Terms = _PLAIN
    ) -> Planned:
        """Resolve everything that ``job`` names.

        Raises:
            InvalidRequest: something in it cannot be as it is.
            NotFound: an input, the code or a compute target does not exist.
            Unsupported: something in it runs on Azure only.
        """
        job = expand_control_flow(job)
        azure_only.refuse(job, terms.substitutions.address)
        draft = _Draft(
            self._storage, self._compute, self._snapshots, self._is_taken, experiment, terms
        )
        component = job.step.component
        frame = Frame(job=name, root=name, reuse=reuse)
        if isinstance(component, PipelineComponent):
            frame = replace(frame, reuse=not component.settings.force_rerun)
        draft.add(replace_display(job), frame, {})
        plan = Plan(
            root=name,
            experiment=experiment,
            leaves=tuple(draft.leaves),
            groups=tuple(sorted(draft.groups, key=_depth)),
            continue_on_failure=not isinstance(component, PipelineComponent)
            or component.settings.continue_on_step_failure,
            notes=(*draft.notes, *azure_only.notes(job)),
        )
        return Planned(plan, tuple(draft.rows))


def replace_display(job: Job) -> Step:
    """The job's step with the header's display name and description, which come first."""
    return job.step.model_copy(
        update={
            "display_name": job.display_name or job.step.display_name,
            "description": job.description or job.step.description,
        }
    )


class _Draft:
    """A plan in the making."""

    def __init__(
        self,
        storage: Storage,
        compute: LocalCompute,
        snapshots: Snapshots,
        is_taken: Callable[[str], bool],
        experiment: str,
        terms: Terms,
    ) -> None:
        self.leaves: list[Leaf] = []
        self.groups: list[Group] = []
        self.rows: list[NewJob] = []
        self.notes: dict[str, None] = {}
        self._names: set[str] = set()
        self._storage = storage
        self._compute = compute
        self._snapshots = snapshots
        self._is_taken = is_taken
        self._experiment = experiment
        self._terms = terms
        self._said: set[str] = set()

    def add(
        self, step: Step, frame: Frame, places: Mapping[str, OutputValue]
    ) -> dict[str, Produced]:
        """Plan a step; returns which leaf's output each of its outputs is.

        Args:
            places: where the pipeline around wants the outputs, by name.
        """
        self._names.add(frame.job)
        inputs = self._inputs(step, frame)
        if isinstance(step.component, PipelineComponent):
            return self._add_group(step, step.component, frame, inputs, places)
        return self._add_leaf(step, frame, inputs, places)

    def _add_group(
        self,
        step: Step,
        component: PipelineComponent,
        frame: Frame,
        inputs: Mapping[str, Input | None],
        places: Mapping[str, OutputValue],
    ) -> dict[str, Produced]:
        settings = component.settings
        row = self._row(step, frame, "pipeline", inputs)
        self.rows.append(_without_node(row))
        planned: dict[str, dict[str, Produced]] = {}
        members: dict[str, str] = {}
        under_way: list[str] = []

        def of_sibling(key: str, output: str) -> Input | None:
            if key not in component.jobs:
                raise NotFound("step", key, known=tuple(component.jobs))
            if key in under_way:
                circle = " -> ".join([*under_way[under_way.index(key) :], key])
                raise InvalidRequest(f"The steps of the pipeline wait for one another: {circle}.")
            if key not in planned:
                add(key)
            if output not in planned[key]:
                raise NotFound("output", f"{key}.{output}", known=tuple(planned[key]))
            return planned[key][output]

        def add(key: str) -> None:
            under_way.append(key)
            members[key] = free_name(f"{frame.job}_{key}", self._is_spoken_for)
            inner = inside(frame, settings, step, key, members[key], inputs, of_sibling)
            child = component.jobs[key]
            planned[key] = self.add(child, inner, places_in(child, step, places))
            under_way.remove(key)

        for key in component.jobs:
            if key not in planned:
                add(key)
        outputs = {
            binding.names[0]: planned[key][output]
            for key, child in component.jobs.items()
            for output, value in child.outputs.items()
            if (binding := sole_binding(value.path)) and binding.root == "parent.outputs"
        }
        self.groups.append(
            Group(frame.job, frame.path, frame.parent, tuple(members.values()), outputs)
        )
        return outputs

    def _add_leaf(
        self,
        step: Step,
        frame: Frame,
        inputs: Mapping[str, Input | None],
        places: Mapping[str, OutputValue],
    ) -> dict[str, Produced]:
        component = step.component
        kind = kinds.kind_of(step)
        row = self._row(step, frame, kind, inputs)
        outputs = {
            name: self._output(frame, name, spec.type, places.get(name) or step.outputs.get(name))
            for name, spec in component.outputs.items()
        }
        given = {name: value for name, value in inputs.items() if value is not None}
        lookup = lookup_in(frame)
        variables = {
            name: fill(text, lookup)
            for name, text in (
                *getattr(component, "environment_variables", {}).items(),
                *step.environment_variables.items(),
            )
        }
        limits = step.limits or getattr(component, "limits", None)
        leaf = Leaf(
            job=frame.job,
            kind=kind,
            body=kinds.module_of(kind).body(step, lambda text: fill(text, lookup)),
            path=frame.path,
            parent=frame.parent,
            display_name=row.display_name,
            inputs=given,
            outputs=outputs,
            code=self._code(step, frame),
            environment_variables=variables,
            nodes=self._nodes(step, frame),
            timeout=seconds(limits.timeout, lookup, frame) if limits else None,
            deterministic=component.is_deterministic,
            reuse=frame.reuse and component.is_deterministic,
            runtime=self._runtime(step, frame),
        )
        row = self._placed(row, step, frame)
        if step.sweep is not None:
            leaf = _as_sweep(leaf, step.sweep.limits, row, frame)
            row = _without_node(row)
        code = {records.CODE: leaf.code} if leaf.code else {}
        self.rows.append(replace(row, properties={**(row.properties or {}), **code}))
        self.leaves.append(leaf)
        return {name: Produced(output.type, frame.job, name) for name, output in outputs.items()}

    def _inputs(self, step: Step, frame: Frame) -> dict[str, Input | None]:
        """What each declared input is; None for an optional one that is not given."""
        found: dict[str, Input | None] = {}
        drawn = names_given(step.sweep.search_space) if step.sweep else ()
        for name, spec in step.component.inputs.items():
            value = step.inputs.get(name)
            where = frame.named(f"inputs.{name}")
            resolved = self._input(value, spec, frame, where) if value is not None else None
            if resolved is None and spec.default is not None:
                resolved = Value(spec.default)
            if resolved is None and not spec.optional and name not in drawn:
                raise InvalidRequest(
                    f"{where} is required and is not given.", remedy=f"--set {where}=VALUE"
                )
            found[name] = resolved
        unknown = [name for name in step.inputs if name not in found]
        if unknown:
            raise NotFound("input", frame.named(f"inputs.{unknown[0]}"), known=tuple(found))
        return found

    def _input(self, value: InputValue, spec: InputSpec, frame: Frame, where: str) -> Input | None:
        type_ = value.type or spec.type
        given = value.value if value.path is None else value.path
        if isinstance(given, str):
            if (binding := sole_binding(given)) and binding.root.startswith("parent."):
                source = bound(binding, frame)
                if not (isinstance(source, Value) and spec.is_data):
                    return source
                given = str(source.value)
            else:
                own = _own(frame) if value.path is not None else {}
                given = fill(given, _lookup_with(own, frame))
        if given is None:
            return None
        if value.path is None and not spec.is_data:
            if "\0" in str(given):
                raise InvalidRequest(
                    f"{where} holds a NUL character, which no process can be given."
                )
            return Value(given)
        found = self._storage.resolve(
            str(given),
            field=where,
            type=type_,
            instead=self._terms.substitutions.address,
            say=self._say,
        )
        return Data(type_ if spec.is_data else "uri_file", found.uri, found.version)

    def _output(self, frame: Frame, name: str, type_: str, value: OutputValue | None) -> Output:
        value = value or OutputValue()
        type_ = value.type or type_
        default = self._storage.default_output(frame.job, name, type_, frame.datastore)
        if value.path is None or sole_binding(value.path) is not None:
            return Output(type_, default, False, value.name, value.version)
        uri = fill(value.path, _lookup_with({**_own(frame), "output_name": name}, frame))
        self._storage.path_of(uri)
        return Output(type_, uri, True, value.name, value.version)

    def _code(self, step: Step, frame: Frame) -> str | None:
        code = kinds.code_of(step)
        if code is None:
            return None
        reference = parse_reference(code)
        if not isinstance(reference, LocalPath):
            raise Unsupported(
                f"{frame.named('code')} is {code}, which is not on this machine.",
                remedy="Name a folder: --set code=PATH",
            )
        beside = [Path(path) for path in getattr(step.component, "additional_includes", ())]
        return self._snapshots.take(reference.path, beside, field=frame.named("code"))

    def _runtime(self, step: Step, frame: Frame) -> Runtime:
        environment = kinds.environment_of(step)
        if environment is not None and environment.reference is not None:
            reference = fill(environment.reference, lookup_in(frame))
            environment = environment.model_copy(update={"reference": reference})
        runtime, remarks = choose(
            environment,
            self._terms.substitutions,
            isolate=self._terms.isolate or self._compute.isolates(_target(step, frame)),
            field=frame.named("environment"),
        )
        for text in (*remarks, *runtime.notes):
            self._say(text if text in remarks or not frame.path else f"{frame.path}: {text}")
        return runtime

    def _say(self, text: str) -> None:
        """Tell whoever submits the job something, once."""
        if text not in self._said:
            self._said.add(text)
            self._terms.say(text)

    def _row(
        self,
        step: Step,
        frame: Frame,
        kind: str,
        inputs: Mapping[str, Input | None],
    ) -> NewJob:
        component = step.component
        properties = {records.INPUTS: kinds.shown_inputs(inputs), **_texts(step.properties)}
        if component.name:
            version = f":{component.version}" if component.version else ""
            properties[records.COMPONENT] = f"{component.name}{version}"
        return NewJob(
            name=frame.job,
            type=kind,
            status=JobStatus.QUEUED if frame.parent is None else JobStatus.NOT_STARTED,
            experiment=self._experiment,
            root=frame.root,
            parent=frame.parent,
            step=frame.path.rpartition(".")[2] or None,
            display_name=step.display_name
            or (step.name if frame.parent else "")
            or component.display_name
            or component.name
            or frame.job,
            description=step.description or component.description,
            tags=_texts(step.tags),
            properties=properties,
        )

    def _placed(self, row: NewJob, step: Step, frame: Frame) -> NewJob:
        name = _target(step, frame)
        target = self._compute.get(name)
        nodes = self._nodes(step, frame)
        if nodes > target.max_instances:
            if target.source is not None:
                raise InvalidRequest(
                    f"{frame.named('resources.instance_count')} is {nodes}, but the compute target"
                    f" {name!r} has at most {target.max_instances} (in {target.source}).",
                    remedy="Ask for fewer, or raise its max_instances.",
                )
            nodes = target.max_instances
        if target.source is None and name not in _THIS_MACHINE:
            self.notes[f"The compute target {name!r} stands for this machine."] = None
        return replace(
            row,
            compute=name,
            compute_key=self._compute.slots_key(name),
            nodes=nodes,
            max_nodes=target.max_instances,
        )

    def _is_spoken_for(self, name: str) -> bool:
        return name in self._names or self._is_taken(name)

    def _nodes(self, step: Step, frame: Frame) -> int:
        resources = step.resources or getattr(step.component, "resources", None)
        count = fill(str(resources.instance_count), lookup_in(frame)) if resources else "1"
        if not count.isdecimal() or int(count) < 1:
            where = frame.named("resources.instance_count")
            raise InvalidRequest(f"{where} is {count!r}; a number of nodes is expected.")
        return int(count)


def _target(step: Step, frame: Frame) -> str:
    """The name of the compute target that a step asks for."""
    asked = step.compute or frame.compute or "serverless"
    return fill(asked, lookup_in(frame)).removeprefix("azureml:").rpartition("/")[2]


def _own(frame: Frame) -> dict[str, str]:
    """What the bindings in a path stand for that a job is known by."""
    return {"name": frame.job, "default_datastore": frame.datastore or DEFAULT_DATASTORE}


def _lookup_with(own: Mapping[str, str], frame: Frame) -> Callable[[Binding], str | None]:
    outer = lookup_in(frame)
    return lambda binding: own.get(binding.root) or outer(binding)


def _without_node(row: NewJob) -> NewJob:
    """The row of a job that only looks after others: one inside another costs nothing further."""
    if row.parent is not None:
        return replace(row, compute_key="", nodes=0, max_nodes=0)
    return replace(row, compute_key=PIPELINES, nodes=1, max_nodes=PIPELINES_AT_ONCE)


def _as_sweep(trial: Leaf, limits: SweepLimits, row: NewJob, frame: Frame) -> Leaf:
    """The sweep around what was planned as its trial."""
    trials = Trials(
        compute=row.compute,
        compute_key=row.compute_key,
        nodes=row.nodes,
        max_nodes=row.max_nodes,
        datastore=frame.datastore,
        timeout=limits.trial_timeout or trial.timeout,
    )
    return replace(trial, timeout=limits.timeout, trials=trials)


def _depth(group: Group) -> int:
    return len(group.path.split(".")) if group.path else 0


def _texts(given: Mapping[str, str | None]) -> dict[str, str]:
    return {key: "" if value is None else value for key, value in given.items()}
