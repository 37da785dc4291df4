"""What only Azure can do of a job: it is refused before anything starts, or has no effect here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops_dagster.aml.control_flow import expand_control_flow
from mlops_dagster.aml.job import (
    Component,
    ComponentReference,
    DoWhile,
    IfElse,
    Job,
    ParallelComponent,
    ParallelFor,
    PipelineComponent,
    Resources,
    Step,
    UnsupportedComponent,
)
from mlops_dagster.aml.references import LocalPath, parse_reference
from mlops_dagster.aml.step_locations import StepLocation, component_step_locations, step_locations
from mlops_dagster.errors import Problem, Unsupported
from mlops_dagster.workspace.local.ground.addresses import (
    SUBSTITUTIONS,
    redact,
    substitution_remedy,
    unavailable_reason,
)
from mlops_dagster.workspace.local.kinds import spark as spark_step
from mlops_dagster.workspace.local.kinds import table as kinds
from mlops_dagster.workspace.local.storage.storage import Instead

_ELSEWHERE = "Run it in a workspace on Azure, or take it out."
_GPU = re.compile(r"--gpus\b|--runtime[= ]nvidia\b")
_CALLED = {
    "automl": "An AutoML job",
    "data_transfer": "A data transfer (Data Factory)",
    "import": "An import job",
    "finetuning": "A fine-tuning job",
    "distillation": "A distillation job",
}


def check_supported(job: Job, instead: Instead = lambda text, _: text) -> None:
    """Raise Unsupported, with every such place in the job's files, where it needs Azure.

    Args:
        instead: answers what stands in for an address of an input of a type.
    """
    found = [
        problem
        for location in step_locations(job)
        for problem in (*_unsupported(location), *_out_of_reach(location, instead))
    ]
    if found:
        raise Unsupported(
            "This job holds what cannot run on this machine:\n"
            + "\n".join(str(problem) for problem in found)
        )


def unsupported_problems(job: Job | Component) -> list[Problem]:
    """Every place in the files of a job or component that cannot run here, without a workspace.

    A registered component may be in the workspace, so that it is none of them.
    """
    found = (
        step_locations(expand_control_flow(job))
        if isinstance(job, Job)
        else component_step_locations(job)
    )
    return [
        problem
        for location in found
        if not isinstance(location.step.component, ComponentReference)
        for problem in _unsupported(location)
    ]


def notes(job: Job) -> list[str]:
    """What in the job is accepted and has no effect: on Azure either, or only here."""
    idle = dict.fromkeys(
        name for location in step_locations(job) for name in _without_effect(location.step)
    )
    services = dict.fromkeys(
        name for location in step_locations(job) for name in location.step.services
    )
    parts = []
    if services:
        parts.append(f"not started: {_listed('service', services)}")
    if idle:
        parts.append(f"without effect: {', '.join(idle)}")
    here = [f"On this machine {'; '.join(parts)}."] if parts else []
    return [*(" ".join(str(warning).split()) for warning in job.warnings), *here]


def _unsupported(location: StepLocation) -> Iterator[Problem]:
    step, component = location.step, location.step.component
    match component:
        case UnsupportedComponent():
            what = _CALLED.get(component.kind, f"A job of type {component.kind}")
            field = "type" if component.source is None else ""
            yield location.problem(field, f"{what} runs only on Azure.", _ELSEWHERE)
        case ComponentReference():
            # What is nested stands in another file, which --set does not reach.
            field = f"jobs.{location.path}.component" if location.path else "component"
            by_set = "" if "." in location.path else f"--set {field}=FILE, "
            yield location.problem(
                "component",
                f"The registered component {component.reference} is not on this machine.",
                f"Name its file instead: {by_set}under `components:` in"
                f" .mlops/{SUBSTITUTIONS}, or in a component.yml of the project.",
            )
        case IfElse() | DoWhile() | ParallelFor():
            message = f"The control flow node {component.type} is decided by what a step writes."
            yield location.problem("type", message, _ELSEWHERE)
        case PipelineComponent():
            pass
        case _:
            yield from _unsupported_step(location, step)


def _out_of_reach(location: StepLocation, instead: Instead) -> Iterator[Problem]:
    """Inputs that lie where nothing is fetched from."""
    for name, value in location.step.inputs.items():
        if value.path is None:
            continue
        spec = location.step.component.inputs.get(name)
        type_ = value.type or (spec.type if spec is not None else None)
        address = instead(value.path, type_)
        if (reason := unavailable_reason(address, type_)) is not None:
            field = ".".join(("jobs", *location.path.split("."), "inputs", name))
            yield location.problem(
                f"inputs.{name}",
                f"{redact(address)} {reason}.",
                substitution_remedy(address, field if location.path else f"inputs.{name}"),
            )


def _unsupported_step(location: StepLocation, step: Step) -> Iterator[Problem]:
    kind = kinds.kind_of(step)
    if not kinds.is_known(kind):
        message = f"A job of type {kind} does not run on this machine."
        yield location.problem("type", message, _ELSEWHERE)
        return
    if kind == "spark" and (missing := spark_step.missing()):
        message = f"A Spark job needs pyspark and Java; missing here: {missing}."
        yield location.problem("type", message, spark_step.REMEDY)
    if isinstance(step.component, ParallelComponent) and step.component.task.type == "model":
        message = "A parallel task of type model does not run on this machine."
        yield location.problem("task.type", message, _ELSEWHERE)
    code = kinds.code_of(step)
    if code is not None and not isinstance(parse_reference(code), LocalPath):
        field = "task.code" if step.component.type == "parallel" else "code"
        yield location.problem(
            field, f"{code} is not on this machine.", "Name a folder that holds the code."
        )
    distribution = step.distribution or getattr(step.component, "distribution", None)
    if distribution is not None and distribution.type == "ray":
        message = "A distribution of type ray does not run on this machine."
        yield location.problem(
            "distribution", message, "Use pytorch, mpi or tensorflow, or run it on Azure."
        )
    resources = _resources(step)
    if resources is not None and _GPU.search(_text(resources.docker_args)) and not _has_gpu():
        yield location.problem(
            "resources.docker_args",
            f"{_text(resources.docker_args)!r} asks for a GPU, and this machine has none.",
            "Take it out, or run the job where there is one.",
        )


def _without_effect(step: Step) -> Iterator[str]:
    if step.identity is not None:
        yield "identity"
    if step.queue_settings is not None:
        yield "queue_settings"
    resources = _resources(step)
    for name in ("instance_type", "shm_size", "docker_args", "locations", "runtime_version"):
        if resources is not None and getattr(resources, name):
            yield f"resources.{name}"


def _resources(step: Step) -> Resources | None:
    return step.resources or getattr(step.component, "resources", None)


def _text(docker_args: str | tuple[str, ...] | None) -> str:
    return docker_args if isinstance(docker_args, str) else " ".join(docker_args or ())


def _has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()


def _listed(noun: str, names: Iterable[str]) -> str:
    found = list(names)
    return f"the {noun}{'s' if len(found) > 1 else ''} {', '.join(found)}"
