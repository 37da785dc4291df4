"""One project as one Dagster code location."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from mlops_dagster.defs.alerts import alert_sensors
from mlops_dagster.defs.automation import automation_sensors
from mlops_dagster.defs.jobs import project_jobs, project_schedules
from mlops_dagster.defs.landing import landing_definitions
from mlops_dagster.defs.models import model_assets
from mlops_dagster.defs.products import product_assets
from mlops_dagster.defs.schedules import workspace_schedules
from mlops_dagster.defs.steps import step_assets
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import InvalidDocument
from mlops_dagster.project import read_project


def load_project(file: str | Path) -> dg.Definitions:
    """Turn the project beside ``file`` into Dagster definitions.

    Args:
        file: any file in the project's folder; ``definitions.py`` gives its own ``__file__``.

    A run's steps follow one another in one process: the work is done by the workspace's jobs, and
    a process for each step would cost seconds and bring nothing but the waiting side by side.
    Runs are processes of their own, and so go on side by side.

    Raises InvalidDocument with every mistake in the project's YAML files.
    """
    try:
        project = read_project(Path(file).absolute().parent)
    except InvalidDocument as error:
        # Shown by the UI and the command line: the message is whole, its traceback says nothing.
        raise error.with_traceback(None) from None
    jobs = list(project_jobs(project))
    landing = landing_definitions(project)
    job_names = [job.name for job in (*(each for _, each in jobs), *(landing.jobs or ()))]
    assets = [*product_assets(project), *step_assets(project), *model_assets(project)]
    own = dg.Definitions(
        assets=assets,
        sensors=[*automation_sensors(assets), *alert_sensors(project)],
        jobs=[definition for _, definition in jobs],
        schedules=[
            *project_schedules(project, jobs),
            *workspace_schedules(project, job_names=job_names),
        ],
        resources={"workspace": WorkspaceResource(folder=str(project.folder))},
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(own, landing)
