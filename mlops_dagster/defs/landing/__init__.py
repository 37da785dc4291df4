"""The landing of a project in Dagster: what scores files as they arrive.

::

    assets.py          the tables of scores and of what could not be scored; a run scores one batch
    pipeline.py        the project's pipeline as the job that scores a batch
    checks.py          each row is there once; nothing waits for long, is given up or lies unseen
    current_checks.py  the results of checks for the newest materialization, once nothing runs
    drift.py           whether scores are far from those of the champion's evaluation
    quarantine.py      what lies in quarantine, and which of it nobody has seen
    metadata.py        what a materialization shows: batches, drops, some of the rows
    sensor.py          looks for new files, and asks for a run of every batch
    history.py         old runs, deleted from Dagster's instance
    runs.py            the runs of a batch, and those whose process is gone
    jobs.py            scoring on a schedule, replaying a drop, upkeep of the tables
    keys.py            keys, tags and the names of jobs
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from mlops_dagster.defs.landing.assets import landing_assets
from mlops_dagster.defs.landing.checks import ledger_checks
from mlops_dagster.defs.landing.jobs import (
    acknowledge_job,
    landing_schedules,
    replay_job,
    scoring_job,
    upkeep_job,
)
from mlops_dagster.defs.landing.sensor import landing_sensor
from mlops_dagster.project import Project

__all__ = ["landing_definitions"]


def landing_definitions(project: Project) -> dg.Definitions:
    """All that a project's landing is in Dagster; nothing where it declares none."""
    if project.landing is None:
        return dg.Definitions()
    scoring: Any = scoring_job(project)
    upkeep = upkeep_job(project)
    return dg.Definitions(
        assets=[landing_assets(project)],
        asset_checks=list(ledger_checks(project)),
        jobs=[scoring, replay_job(project), acknowledge_job(project), upkeep],
        schedules=list(landing_schedules(project, scoring, upkeep)),
        sensors=[landing_sensor(project, scoring)],
    )
