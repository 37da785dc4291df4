"""Registered components, found in files: a substitution's, or the project's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from mlops_dagster.aml.document import read_document
from mlops_dagster.aml.inputs_outputs import InputSpec, InputValue
from mlops_dagster.aml.job import Component, ComponentReference, Job, PipelineComponent, Step
from mlops_dagster.aml.references import Registered, parse_reference, resolve_path
from mlops_dagster.errors import InvalidDocument, InvalidRequest

Find = Callable[[str], Path | None]
"""The file of a component, by its reference."""


class ProjectComponents:
    """The components in a project's files: ``code/**/component.yml``, ``components/**/*.yml``.

    Args:
        project: its folder; None where there is no project at hand.
    """

    def __init__(self, project: Path | None) -> None:
        self._project = project

    def find(self, reference: str) -> Path | None:
        """The file of ``azureml:NAME``, ``azureml:NAME@latest`` or ``azureml:NAME:VERSION``.

        A file without a version stands for any version that no other file has.
        """
        found = parse_reference(reference)
        if not isinstance(found, Registered) or found.label not in (None, "latest"):
            return None
        versions = self._known.get(found.name, {})
        if found.version is not None:
            return versions.get(found.version) or versions.get("")
        return versions[max(versions, key=_order)] if versions else None

    @cached_property
    def _known(self) -> dict[str, dict[str, Path]]:
        """Files by name and version; one that cannot be read is no component."""
        known: dict[str, dict[str, Path]] = {}
        for file in self._files():
            try:
                data = read_document(file).data
            except InvalidDocument:
                continue
            version = data.get("version")
            if isinstance(data.get("name"), str):
                versions = known.setdefault(data["name"], {})
                versions.setdefault("" if version is None else str(version), file)
        return known

    def _files(self) -> Iterator[Path]:
        if self._project is not None:
            yield from sorted((self._project / "code").rglob("component.y*ml"))
            yield from sorted((self._project / "components").rglob("*.y*ml"))


def with_components(job: Job, find: Find) -> Job:
    """The job with every registered component that ``find`` knows in its place.

    Raises InvalidDocument for a component's file that is wrong, InvalidRequest for a component
    that contains itself.
    """
    folder = job.source.parent if job.source is not None else Path.cwd()
    step = _with_components(job.step, find, folder, ())
    return job if step is job.step else job.model_copy(update={"step": step})


def _with_components(step: Step, find: Find, folder: Path, around: tuple[Path, ...]) -> Step:
    component = step.component
    if isinstance(component, ComponentReference):
        file = find(component.reference)
        if file is None:
            return step
        if file in around:
            chain = " -> ".join(path.name for path in (*around[around.index(file) :], file))
            raise InvalidRequest(f"The component {component.reference} contains itself: {chain}.")
        found = _loaded(file)
        inputs = {
            name: _reread_input(value, found.inputs.get(name), folder)
            for name, value in step.inputs.items()
        }
        whole = step.model_copy(update={"component": found, "inputs": inputs})
        return _with_components(whole, find, folder, (*around, file))
    if isinstance(component, PipelineComponent):
        inner = component.source.parent if component.source is not None else folder
        jobs = {
            key: _with_components(child, find, inner, around)
            for key, child in component.jobs.items()
        }
        if any(jobs[key] is not child for key, child in component.jobs.items()):
            whole_pipeline = component.model_copy(update={"jobs": jobs})
            return step.model_copy(update={"component": whole_pipeline})
    return step


def _loaded(file: Path) -> Component:
    from mlops_dagster.aml import load_component

    return load_component(file)


def _reread_input(value: InputValue, spec: InputSpec | None, folder: Path) -> InputValue:
    """What a step gives, read anew: bare text is a path where the component declares data."""
    if spec is None or not spec.is_data or not isinstance(value.value, str) or "${{" in value.value:
        return value
    return InputValue(type=spec.type, path=resolve_path(value.value, folder), mode=value.mode)


def _order(version: str) -> tuple[bool, list[tuple[int, str]]]:
    """Versions as people count: by their numbers, a file without one first."""
    parts = version.split(".")
    return bool(version), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
