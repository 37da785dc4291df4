"""Where each step of a loaded job is in its files, for messages that name file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.aml.document import Loc, read_document
from mlops_dagster.aml.job import Component, Job, PipelineComponent, Step
from mlops_dagster.errors import InvalidDocument, Problem


@dataclass(frozen=True)
class StepLocation:
    """A step, or a job that is one, and its place in a file.

    Attributes:
        path: its keys from the job, joined by dots; empty for the job itself.
        file: the file that holds the step; None for a job that was made without one.
        loc: its keys in that file.
    """

    step: Step
    path: str
    file: Path | None
    loc: Loc

    def problem(self, field: str, message: str, remedy: str = "") -> Problem:
        """A problem with a field of the step, or of its component where the step lacks the field.

        Args:
            field: dotted; empty for the step itself.
        """
        inner: Loc = tuple(field.split(".")) if field else ()
        source = self.step.component.source
        for file, loc in ((self.file, (*self.loc, *inner)), (source, inner)):
            if file is not None and (found := _problem_at(file, loc, message, remedy)) is not None:
                return found
        if self.file is not None and (found := _problem_at(self.file, self.loc, message, remedy)):
            return found
        dotted = ".".join(part for part in (self.path, field) if part)
        return Problem(self.file or Path("job"), 0, dotted, message, remedy)


def step_locations(job: Job) -> Iterator[StepLocation]:
    """The job and every step in it, in the order of the files."""
    yield from _walk(job.step, "", job.source, ())


def component_step_locations(component: Component) -> Iterator[StepLocation]:
    """As ``step_locations``, for a component that no job has asked for yet."""
    yield from _walk(Step(component=component), "", component.source, ())


def _walk(step: Step, path: str, file: Path | None, loc: Loc) -> Iterator[StepLocation]:
    yield StepLocation(step, path, file, loc)
    component = step.component
    if isinstance(component, PipelineComponent):
        # A component with a file of its own has its steps there.
        inner, around = (component.source, ()) if component.source else (file, loc)
        for key, child in component.jobs.items():
            yield from _walk(child, f"{path}.{key}" if path else key, inner, (*around, "jobs", key))


def _problem_at(file: Path, loc: Loc, message: str, remedy: str) -> Problem | None:
    """A problem at ``loc`` of a file; None where the file has no such place."""
    try:
        document = read_document(file)
    except InvalidDocument:
        return None
    # A schedule holds its job one level down.
    for where in (loc, ("create_job", *loc)):
        if where in document.lines:
            return document.problem(where, message, remedy)
    return None
