"""The runs of a batch: which of them are at work, and which have lost their process.

Dagster sees a worker die while the code server that started it lives. Where both were killed, or
the machine restarted, a run of the default launcher stays "started" for ever, and Dagster's run
monitoring has no way to ask ("check_run_worker_health" of run launchers). The sensor is evaluated
by a code server of the same machine, so that it can look at the worker's process itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from mlops_dagster.defs.landing.keys import REQUEST_TAG, UNREACHABLE_TAG
from mlops_dagster.landing import BatchRecord

_MOST_RUNS = 1_000
_LAUNCHER_TAG = ".dagster/grpc_info"
_RUN_KEY_TAG = "dagster/run_key"
_LONGEST_START = timedelta(seconds=60)
_LOST = "The process of this run is gone: it was killed, or the machine restarted."


@dataclass(frozen=True)
class RunsOfRequest:
    """The runs of one attempt at a batch.

    Attributes:
        unlaunched: the run key of a run that was made but not started yet.
        going: whether one is queued or at work.
        ended: how many ended, and the batch is open all the same.
        dead: how many of these say something about the batch.
        last_end: when the last of them ended.
    """

    unlaunched: str | None
    going: bool
    ended: int
    dead: int
    last_end: datetime | None


def runs_of(instance: DagsterInstance, request: BatchRecord) -> RunsOfRequest:
    """What became of the runs of a request; a run whose process is gone is marked as failed."""
    records = instance.get_run_records(
        RunsFilter(tags={REQUEST_TAG: request.request}), limit=_MOST_RUNS
    )
    ended = [each for each in records if _has_ended(instance, each)]
    going = [each for each in records if each not in ended]
    unlaunched = [
        each.dagster_run.tags.get(_RUN_KEY_TAG)
        for each in going
        if each.dagster_run.status is DagsterRunStatus.NOT_STARTED
    ]
    return RunsOfRequest(
        unlaunched=next(filter(None, unlaunched), None),
        going=len(going) > len(unlaunched),
        ended=len(ended),
        dead=sum(UNREACHABLE_TAG not in each.dagster_run.tags for each in ended),
        last_end=max((_aware(each.update_timestamp) for each in ended), default=None),
    )


def _has_ended(instance: DagsterInstance, record: RunRecord) -> bool:
    run = record.dagster_run
    if run.is_finished:
        return True
    if not _is_lost(instance, record):
        return False
    newest = instance.get_run_by_id(run.run_id)
    if newest is not None and not newest.is_finished:
        instance.report_run_failed(newest, _LOST)
    return True


def _is_lost(instance: DagsterInstance, record: RunRecord) -> bool:
    """Whether a run of this machine's own code server has no process any more."""
    run = record.dagster_run
    if not _is_local(run) or run.status in (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED):
        return False
    worker = _worker_process(instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT))
    if worker is None:
        return datetime.now(UTC) - _aware(record.update_timestamp) > _LONGEST_START
    return not _lives(*worker)


def _is_local(run: dg.DagsterRun) -> bool:
    server = json.loads(run.tags.get(_LAUNCHER_TAG, "{}"))
    return "socket" in server or server.get("host") in ("localhost", "127.0.0.1")


def _worker_process(entries: Sequence[dg.EventLogEntry]) -> tuple[int, float] | None:
    """The worker's process id, as it wrote it down itself, and when."""
    for entry in entries:
        event = entry.dagster_event
        metadata = event.engine_event_data.metadata if event and event.is_engine_event else {}
        if "pid" in metadata:
            return int(str(metadata["pid"].value)), entry.timestamp
    return None


def _lives(pid: int, by: float) -> bool:
    """Whether this process lives, and not a later one that got its number."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.create_time() <= by + 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
