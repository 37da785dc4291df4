"""The compute targets that a project declares for a workspace, and the jobs that ask for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlops_dagster.aml import load_compute
from mlops_dagster.aml.job import Job, PipelineComponent
from mlops_dagster.aml.step_locations import step_locations
from mlops_dagster.errors import InvalidDocument, Problem, suggest

# Azure ML has the first in every workspace; the second is its older word for the submitter's own.
_UNDECLARED = ("serverless", "local")


def undeclared_compute(job: Job, folder: Path, workspace: str) -> Iterator[Problem]:
    """Every place of the job that asks for a target without a file in ``.cloud/WORKSPACE/compute``.

    Args:
        folder: the project's.
    """
    declared = _declared_names(folder / ".cloud" / workspace / "compute")
    for location in step_locations(job):
        step = location.step
        asked = [("compute", step.compute)]
        if isinstance(step.component, PipelineComponent):
            settings = step.component.settings
            asked.append(("settings.default_compute", settings.default_compute))
        for field, name in asked:
            if name and "${{" not in name and name not in (*_UNDECLARED, *declared):
                message = f"The project declares no compute target {name!r}."
                where = f"Targets are declared in .cloud/{workspace}/compute/NAME.yml."
                near = suggest(name, declared)
                yield location.problem(field, message, f"{near} {where}" if near else where)


def _declared_names(folder: Path) -> set[str]:
    names = set()
    for file in sorted(folder.glob("*.y*ml")):
        try:
            names.add(load_compute(file).name)
        except InvalidDocument:
            names.add(file.stem)  # its own mistakes are reported where it is checked
    return names
