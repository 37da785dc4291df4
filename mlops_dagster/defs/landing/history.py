"""Old runs of a landing are deleted; Dagster by itself keeps some 200 KB of each for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from mlops_dagster.defs.landing.keys import BATCH_TAG, SCORING_JOB
from mlops_dagster.errors import NotFound
from mlops_dagster.landing import Landing

# The newest are kept whatever their age, so that the assets always show what was done last.
KEPT_RUNS = 100
_FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def delete_old_runs(instance: DagsterInstance, landing: Landing, *, keep: timedelta) -> int:
    """Delete the runs that scored a batch and ended ``keep`` ago, with their events and logs.

    Runs of open batches stay: the sensor counts them.
    """
    records = instance.get_run_records(RunsFilter(job_name=SCORING_JOB, statuses=_FINISHED))
    mine = [each for each in records if _is_over(landing, each.dagster_run.tags.get(BATCH_TAG))]
    deleted = 0
    for record in mine[KEPT_RUNS:]:
        ended = record.update_timestamp
        ended = ended if ended.tzinfo else ended.replace(tzinfo=UTC)
        if datetime.now(UTC) - ended > keep:
            instance.compute_log_manager.delete_logs(prefix=[record.dagster_run.run_id])
            instance.delete_run(record.dagster_run.run_id)
            deleted += 1
    return deleted


def _is_over(landing: Landing, batch: str | None) -> bool:
    """Whether it is a batch of this landing, and has ended."""
    try:
        return batch is not None and not landing.ledger.batch(batch).state.is_open
    except NotFound:
        return False
