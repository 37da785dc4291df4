"""The loaders: one Azure ML YAML file in, one value out, or every mistake at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from mlops_dagster.aml.assets import ComputeAsset, DataAsset, ModelAsset, Schedule
from mlops_dagster.aml.bound_literals import component_literal_problems
from mlops_dagster.aml.document import read_document
from mlops_dagster.aml.document_kind import kind_of, other_kind_problem
from mlops_dagster.aml.environment import Environment
from mlops_dagster.aml.job import Component, Job
from mlops_dagster.aml.names import identifier
from mlops_dagster.aml.node import LoadSession, Node
from mlops_dagster.aml.overrides import with_overrides
from mlops_dagster.aml.read.assets import (
    read_compute_asset,
    read_data,
    read_environment_asset,
    read_model,
)
from mlops_dagster.aml.read.component import read_component
from mlops_dagster.aml.read.job import read_job
from mlops_dagster.aml.read.schedule import read_schedule
from mlops_dagster.aml.timing import check_trigger
from mlops_dagster.errors import InvalidDocument, InvalidRequest, Problem

Loaded = TypeVar("Loaded")
NO_OVERRIDES: Mapping[str, Any] = {}


def load_job(path: Path, *, overrides: Mapping[str, Any] = NO_OVERRIDES) -> Job:
    """Read a job: a command, pipeline, sweep or Spark job, with all files that it names.

    Args:
        path: the YAML file; relative paths in it, and in the files that it names, become absolute.
        overrides: dotted field to value, put into the document before it is read
            (``--set inputs.rate=0.1``).

    A kind of job that only Azure runs (AutoML ...) is loaded as an ``UnsupportedComponent``.
    Raises InvalidDocument with every mistake in all the files.
    """
    return _load(path, "job", read_job, overrides)


def job_of(given: Job | Path | str) -> Job:
    """A job, or that of a YAML file. Raises as ``load_job``, InvalidRequest for anything else."""
    if isinstance(given, Job):
        return given
    if isinstance(given, str | Path):
        return load_job(Path(given).expanduser())
    raise InvalidRequest(
        f"A job is given as a YAML file; found {type(given).__name__}.",
        remedy='For example: jobs.submit("train.yml"), or load_job(Path("train.yml"), overrides=...)',
    )


def load_component(path: Path) -> Component:
    """Read a component file. Raises InvalidDocument with every mistake in all its files."""
    return cast("Component", _load(path, "component", _named_component))


def load_data(path: Path, *, overrides: Mapping[str, Any] = NO_OVERRIDES) -> DataAsset:
    """Read a data asset; ``overrides`` as ``load_job``. Raises InvalidDocument."""
    return _load(path, "data", read_data, overrides)


def load_model(path: Path, *, overrides: Mapping[str, Any] = NO_OVERRIDES) -> ModelAsset:
    """Read a model; ``overrides`` as ``load_job``. Raises InvalidDocument."""
    return _load(path, "model", read_model, overrides)


def load_environment(path: Path) -> Environment:
    """Read an environment, with its conda file. Raises InvalidDocument."""
    return _load(path, "environment", read_environment_asset)


def load_compute(path: Path) -> ComputeAsset:
    """Read a compute target of any type. Raises InvalidDocument."""
    return _load(path, "compute", read_compute_asset)


def load_schedule(path: Path) -> Schedule:
    """Read a schedule, with the job that it runs. Raises InvalidDocument."""
    return _load(path, "schedule", read_schedule)


def schedule_of(given: Schedule | Path | str) -> Schedule:
    """A schedule, or that of a YAML file. Raises as ``load_schedule``, InvalidRequest otherwise."""
    if isinstance(given, Schedule):
        return given
    if isinstance(given, str | Path):
        return load_schedule(Path(given).expanduser())
    raise InvalidRequest(
        f"A schedule is given as a YAML file; found {type(given).__name__}.",
        remedy='For example: schedules.create("nightly.yml")',
    )


def load_schedules(folder: Path) -> tuple[list[Schedule], list[Problem]]:
    """Read every schedule of a folder, by file name, and say what is wrong with the others.

    A file that cannot be read, that names its job instead of a file, or whose name another one
    has, leaves the rest of the folder as it is. A folder that does not exist holds no schedule.
    """
    schedules: dict[str, Schedule] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.y*ml")):
        try:
            schedule = load_schedule(file)
            check_trigger(schedule.trigger)
        except InvalidDocument as error:
            problems += error.problems
            continue
        except InvalidRequest as error:
            problems.append(_problem_at(file, "trigger", error.message, error.remedy))
            continue
        if schedule.job is None:
            message = f"It runs {schedule.job_reference}, a job by its name."
            remedy = "Name the job's file as `create_job:` instead."
            problems.append(_problem_at(file, "create_job", message, remedy))
        elif identifier(schedule.name) in schedules:
            other = schedules[identifier(schedule.name)]
            problems.append(same_name_problem(schedule, other))
        else:
            schedules[identifier(schedule.name)] = schedule
    return list(schedules.values()), problems


def same_name_problem(schedule: Schedule, other: Schedule) -> Problem:
    """That a schedule has the name of another, or differs from it only as ``a-b`` from ``a_b``."""
    if schedule.name == other.name:
        message = f"{other.source} has the name {schedule.name!r} as well."
    else:
        message = f"{other.source} has nearly this name, {other.name!r}: they are one to Dagster."
    return _problem_at(schedule.source or Path(), "name", message, "Choose another name.")


def check(path: Path) -> list[Problem]:
    """Every mistake in an Azure ML YAML file of any kind; which kind it is, its fields tell.

    Endpoints, deployments and datastores are only read as YAML.
    """
    try:
        kind = kind_of(path)
        if kind in _LOADERS:
            _LOADERS[kind](path)
    except InvalidDocument as error:
        return list(error.problems)
    return []


def _problem_at(file: Path, field: str, message: str, remedy: str | None) -> Problem:
    return read_document(file).problem((field,), message, remedy or "")


def _named_component(node: Node) -> Component | None:
    component = read_component(node, source=node.document.path, named=True)
    if component is not None and not node.session.problems:
        node.session.problems += component_literal_problems(component)
    return component


def _load(
    path: Path,
    kind: str,
    read: Callable[[Node], Loaded | None],
    overrides: Mapping[str, Any] = NO_OVERRIDES,
) -> Loaded:
    session = LoadSession(overrides=tuple(tuple(field.split(".")) for field in overrides))
    document = session.document(Path(os.path.abspath(path)))  # noqa: PTH100  # folds `..` by name
    if document is None:
        return session.finish(None)
    if overrides:
        document = with_overrides(document, overrides)
    session.open_files.append(document.path)
    loaded = read(Node.root(document, session))
    if session.problems and (problem := other_kind_problem(document, kind)):
        raise InvalidDocument([problem])
    return session.finish(loaded)


_LOADERS: dict[str, Callable[[Path], object]] = {
    "job": load_job,
    "component": load_component,
    "data": load_data,
    "model": load_model,
    "environment": load_environment,
    "compute": load_compute,
    "schedule": load_schedule,
}
