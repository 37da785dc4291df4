"""From a job of the language to a plan: every reference resolved and checked, nothing started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.aml.bindings import fill, sole_binding
from mlops_dagster.aml.control_flow import expand_control_flow
from mlops_dagster.aml.inputs_outputs import OutputValue
from mlops_dagster.aml.job import Job, PipelineComponent, PipelineSettings, Step, SweepLimits
from mlops_dagster.aml.references import LocalPath, parse_reference
from mlops_dagster.errors import InvalidRequest, NotFound, Unsupported
from mlops_dagster.workspace.local.ground.options import PlanOptions
from mlops_dagster.workspace.local.ground.plan import (
    Input,
    Plan,
    PlannedPipeline,
    PlannedStep,
    Produced,
    Runtime,
    Trials,
)
from mlops_dagster.workspace.local.kinds import table as kinds
from mlops_dagster.workspace.local.planning import azure_only
from mlops_dagster.workspace.local.planning.step_context import (
    StepContext,
    binding_lookup,
    child_context,
    child_outputs,
    seconds,
)
from mlops_dagster.workspace.local.planning.step_data import DataPlanner
from mlops_dagster.workspace.local.queue.queue import PIPELINES, PIPELINES_AT_ONCE
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.records.job_names import free_name
from mlops_dagster.workspace.local.records.jobs import NewJob
from mlops_dagster.workspace.local.software.choice import choose
from mlops_dagster.workspace.local.storage.snapshots import Snapshots
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import JobStatus

if TYPE_CHECKING:
    from mlops_dagster.workspace.local.records.compute import LocalCompute

_DEFAULTS = PlanOptions()
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
        self, job: Job, *, name: str, experiment: str, reuse: bool, options: PlanOptions = _DEFAULTS
    ) -> Planned:
        """Resolve everything that ``job`` names.

        Raises:
            InvalidRequest: something in it cannot be as it is.
            NotFound: an input, the code or a compute target does not exist.
            Unsupported: something in it runs on Azure only.
        """
        job = expand_control_flow(job)
        azure_only.check_supported(job, options.substitutions.address)
        draft = _Draft(
            self._storage,
            self._compute,
            self._snapshots,
            self._is_taken,
            experiment,
            options,
            job.source,
        )
        component = job.step.component
        context = StepContext(job=name, root=name, reuse=reuse)
        if isinstance(component, PipelineComponent):
            context = replace(context, reuse=not component.settings.force_rerun)
        draft.add(_with_header(job), context, {})
        plan = Plan(
            root=name,
            experiment=experiment,
            steps=tuple(draft.steps),
            pipelines=tuple(sorted(draft.pipelines, key=_depth)),
            continue_on_failure=not isinstance(component, PipelineComponent)
            or component.settings.continue_on_step_failure,
            notes=(*draft.notes, *azure_only.notes(job)),
        )
        return Planned(plan, tuple(draft.rows))


def _with_header(job: Job) -> Step:
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
        options: PlanOptions,
        source: Path | None,
    ) -> None:
        self.steps: list[PlannedStep] = []
        self.pipelines: list[PlannedPipeline] = []
        self.rows: list[NewJob] = []
        self.notes: dict[str, None] = {}
        self._names: set[str] = set()
        self._compute = compute
        self._snapshots = snapshots
        self._is_taken = is_taken
        self._experiment = experiment
        self._options = options
        self._told: set[str] = set()
        self._data = DataPlanner(storage, options, source, self._notify)

    def add(
        self, step: Step, context: StepContext, places: Mapping[str, OutputValue]
    ) -> dict[str, Produced]:
        """Plan a step; returns the planned step's output that each of its outputs is.

        Args:
            places: where the pipeline around wants the outputs, by name.
        """
        self._names.add(context.job)
        inputs = self._data.inputs(step, context)
        if isinstance(step.component, PipelineComponent):
            return self._add_pipeline(step, step.component, context, inputs, places)
        return self._add_step(step, context, inputs, places)

    def _add_pipeline(
        self,
        step: Step,
        component: PipelineComponent,
        context: StepContext,
        inputs: Mapping[str, Input | None],
        places: Mapping[str, OutputValue],
    ) -> dict[str, Produced]:
        settings = component.settings
        row = self._row(step, context, "pipeline", inputs)
        self.rows.append(_without_node(row))
        planned: dict[str, dict[str, Produced]] = {}
        members: dict[str, str] = {}
        under_way: list[str] = []

        def sibling_output(key: str, output: str) -> Input | None:
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
            members[key] = free_name(f"{context.job}_{key}", self._is_name_taken)
            inner = child_context(
                context, settings, step, key, members[key], inputs, sibling_output
            )
            child = component.jobs[key]
            planned[key] = self.add(child, inner, child_outputs(child, step, places))
            under_way.remove(key)

        first = len(self.steps)
        for key in component.jobs:
            if key not in planned:
                add(key)
        self._order_first_and_last(first, context, settings)
        outputs = {
            binding.names[0]: planned[key][output]
            for key, child in component.jobs.items()
            for output, value in child.outputs.items()
            if (binding := sole_binding(value.path)) and binding.root == "parent.outputs"
        }
        self.pipelines.append(
            PlannedPipeline(
                context.job, context.path, context.parent, tuple(members.values()), outputs
            )
        )
        return outputs

    def _order_first_and_last(
        self, first: int, context: StepContext, settings: PipelineSettings
    ) -> None:
        """Put the steps of ``on_init`` before, and those of ``on_finalize`` after, all others.

        Args:
            first: where the steps of the pipeline begin.
        """
        start = len(context.path) + 1 if context.path else 0
        steps = self.steps[first:]
        keys = [step.path[start:].partition(".")[0] for step in steps]
        jobs = [step.job for step in steps]
        before = tuple(job for job, key in zip(jobs, keys, strict=True) if key == settings.on_init)
        others = tuple(
            job for job, key in zip(jobs, keys, strict=True) if key != settings.on_finalize
        )
        for at, (step, key) in enumerate(zip(steps, keys, strict=True), first):
            if key == settings.on_finalize:
                self.steps[at] = replace(step, finalizes=others)
            elif key != settings.on_init:
                self.steps[at] = replace(step, after=before)

    def _add_step(
        self,
        step: Step,
        context: StepContext,
        inputs: Mapping[str, Input | None],
        places: Mapping[str, OutputValue],
    ) -> dict[str, Produced]:
        component = step.component
        kind = kinds.kind_of(step)
        row = self._row(step, context, kind, inputs)
        outputs = {
            name: self._data.output(
                context, name, spec.type, places.get(name) or step.outputs.get(name)
            )
            for name, spec in component.outputs.items()
        }
        given = {name: value for name, value in inputs.items() if value is not None}
        lookup = binding_lookup(context)
        variables = {
            name: fill(text, lookup)
            for name, text in (
                *getattr(component, "environment_variables", {}).items(),
                *step.environment_variables.items(),
            )
        }
        limits = step.limits or getattr(component, "limits", None)
        planned = PlannedStep(
            job=context.job,
            kind=kind,
            body=kinds.module_of(kind).body(step, lambda text: fill(text, lookup)),
            path=context.path,
            parent=context.parent,
            display_name=row.display_name,
            inputs=given,
            outputs=outputs,
            code=self._code(step, context),
            environment_variables=variables,
            nodes=self._nodes(step, context),
            timeout=seconds(limits.timeout, lookup, context) if limits else None,
            deterministic=component.is_deterministic,
            reuse=context.reuse and component.is_deterministic,
            runtime=self._runtime(step, context),
        )
        row = self._with_target(row, step, context)
        if step.sweep is not None:
            planned = _as_sweep(planned, step.sweep.limits, row, context)
            row = _without_node(row)
        code = {records.CODE: planned.code} if planned.code else {}
        self.rows.append(replace(row, properties={**(row.properties or {}), **code}))
        self.steps.append(planned)
        return {name: Produced(output.type, context.job, name) for name, output in outputs.items()}

    def _code(self, step: Step, context: StepContext) -> str | None:
        code = kinds.code_of(step)
        if code is None:
            return None
        reference = parse_reference(code)
        if not isinstance(reference, LocalPath):
            raise Unsupported(
                f"{context.field_path('code')} is {code}, which is not on this machine.",
                remedy="Name a folder: --set code=PATH",
            )
        beside = [Path(path) for path in getattr(step.component, "additional_includes", ())]
        return self._snapshots.take(reference.path, beside, field=context.field_path("code"))

    def _runtime(self, step: Step, context: StepContext) -> Runtime:
        environment = kinds.environment_of(step)
        if environment is not None and environment.reference is not None:
            reference = fill(environment.reference, binding_lookup(context))
            environment = environment.model_copy(update={"reference": reference})
        runtime, remarks = choose(
            environment,
            self._options.substitutions,
            isolate=self._options.isolate or self._compute.isolates(_target(step, context)),
            field=context.field_path("environment"),
        )
        for text in (*remarks, *runtime.notes):
            self._notify(text if text in remarks or not context.path else f"{context.path}: {text}")
        if (digest := self._options.variables_digest) is not None:
            runtime = replace(runtime, asked={**runtime.asked, "variables": digest})
        return runtime

    def _notify(self, text: str) -> None:
        """Tell whoever submits the job something, once."""
        if text not in self._told:
            self._told.add(text)
            self._options.notify(text)

    def _row(
        self,
        step: Step,
        context: StepContext,
        kind: str,
        inputs: Mapping[str, Input | None],
    ) -> NewJob:
        component = step.component
        properties = {
            records.INPUTS: kinds.inputs_json(inputs),
            **records.label_texts(step.properties),
        }
        if component.name:
            version = f":{component.version}" if component.version else ""
            properties[records.COMPONENT] = f"{component.name}{version}"
        return NewJob(
            name=context.job,
            type=kind,
            status=JobStatus.QUEUED if context.parent is None else JobStatus.NOT_STARTED,
            experiment=self._experiment,
            root=context.root,
            parent=context.parent,
            step=context.path.rpartition(".")[2] or None,
            display_name=step.display_name
            or (step.name if context.parent else "")
            or component.display_name
            or component.name
            or context.job,
            description=step.description or component.description,
            tags=records.label_texts(step.tags),
            properties=properties,
        )

    def _with_target(self, row: NewJob, step: Step, context: StepContext) -> NewJob:
        name = _target(step, context)
        target = self._compute.get(name)
        nodes = self._nodes(step, context)
        if nodes > target.max_instances:
            if target.source is not None:
                raise InvalidRequest(
                    f"{context.field_path('resources.instance_count')} is {nodes}, but the compute target"
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

    def _is_name_taken(self, name: str) -> bool:
        return name in self._names or self._is_taken(name)

    def _nodes(self, step: Step, context: StepContext) -> int:
        resources = step.resources or getattr(step.component, "resources", None)
        count = fill(str(resources.instance_count), binding_lookup(context)) if resources else "1"
        if not count.isdecimal() or int(count) < 1:
            where = context.field_path("resources.instance_count")
            raise InvalidRequest(f"{where} is {count!r}; a number of nodes is expected.")
        return int(count)


def _target(step: Step, context: StepContext) -> str:
    """The name of the compute target that a step asks for."""
    asked = step.compute or context.compute or "serverless"
    return fill(asked, binding_lookup(context)).removeprefix("azureml:").rpartition("/")[2]


def _without_node(row: NewJob) -> NewJob:
    """The row of a job that only looks after others: one inside another costs nothing further."""
    if row.parent is not None:
        return replace(row, compute_key="", nodes=0, max_nodes=0)
    return replace(row, compute_key=PIPELINES, nodes=1, max_nodes=PIPELINES_AT_ONCE)


def _as_sweep(
    trial: PlannedStep, limits: SweepLimits, row: NewJob, context: StepContext
) -> PlannedStep:
    """The sweep around what was planned as its trial."""
    trials = Trials(
        compute=row.compute,
        compute_key=row.compute_key,
        nodes=row.nodes,
        max_nodes=row.max_nodes,
        datastore=context.datastore,
        timeout=limits.trial_timeout or trial.timeout,
    )
    return replace(trial, timeout=limits.timeout, trials=trials)


def _depth(pipeline: PlannedPipeline) -> int:
    return len(pipeline.path.split(".")) if pipeline.path else 0
