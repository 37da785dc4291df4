"""How much may fail before a step has failed.

Source: ``mini_batch_error_threshold`` and the predefined arguments in "CLI (v2) parallel job YAML
schema" (learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel).
"""

from __future__ import annotations

from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace.local.parallel.plan import Plan
from mlops_dagster.workspace.local.parallel.reports import Reports


class StepFailed(MlopsError):
    """The parallel step did not succeed; nothing was written to ``append_row_to``."""


def check_counts(plan: Plan, reports: Reports) -> None:
    """Raise StepFailed where more mini batches or items have failed than may."""
    if 0 <= plan.mini_batch_error_threshold < reports.failed:
        over = f"mini_batch_error_threshold is {plan.mini_batch_error_threshold}"
        raise _exceeded(reports, f"{reports.failed} mini batches failed, {over}")
    if 0 <= plan.error_threshold < reports.failed_items:
        over = f"error_threshold is {plan.error_threshold}"
        raise _exceeded(reports, f"{reports.failed_items} items failed, {over}")


def check_percent(plan: Plan, reports: Reports) -> None:
    """Raise StepFailed where, of all mini batches, a larger part has failed than may."""
    if reports.failed * 100 > plan.allowed_failed_percent * reports.ended:
        over = f"allowed_failed_percent is {plan.allowed_failed_percent:g}"
        counts = f"{reports.failed} of {reports.ended} mini batches failed"
        raise _exceeded(reports, f"{counts}, {over}")


def _exceeded(reports: Reports, what: str) -> StepFailed:
    return StepFailed(
        f"{what}; the last error: {reports.last_error} (tracebacks: logs/user/error/)"
    )
