"""A job of the workspace in a run of Dagster: submitted or found again, and followed to its end.

::

    submitting.py     the job of one asset's materialization, under a name that a retry finds again
    following.py      waits for its end, hands on its log, reports its failure, cancels it with the run
    log_streaming.py  log lines in Dagster while the job runs
"""

from __future__ import annotations

from mlops_dagster.defs.running.following import (
    PATIENCE_BEFORE,
    completed_job,
    follow_job,
    patiently,
)
from mlops_dagster.defs.running.submitting import run_job

__all__ = ["PATIENCE_BEFORE", "completed_job", "follow_job", "patiently", "run_job"]
