"""A job of the workspace inside a run of Dagster: submitted or found again, and followed to its end.

::

    submitting.py     the job of one asset's materialization, under a name that a retry finds again
    following.py      its end awaited, its log handed on, its failure told; canceled with the run
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
