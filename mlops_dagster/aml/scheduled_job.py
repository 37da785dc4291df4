"""The job that a schedule starts at one of its times."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mlops_dagster.aml.job import Job

_TRIGGER_TIME = re.compile(r"\$\{\{\s*creat(?:e|ion)_context\.trigger_time\s*\}\}")


def scheduled_job(job: Job, at: datetime) -> Job:
    """``job`` with the time of its trigger filled in, wherever a text of it asks for that.

    ``${{creation_context.trigger_time}}``, or ``create_context``, becomes ``at`` in UTC as
    ``2026-01-31T03:00:00Z`` (learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job,
    "Expressions supported in schedule").

    Args:
        at: timezone-aware.
    """
    text = job.model_dump_json()
    filled = _TRIGGER_TIME.sub(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", text)
    return job if filled == text else Job.model_validate_json(filled)
