"""The sensor: looks for new files, and asks for a run of every batch that should have one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from mlops_dagster.defs.landing.checks import ledger_findings
from mlops_dagster.defs.landing.current_checks import check_events
from mlops_dagster.defs.landing.keys import project_landing, run_tags
from mlops_dagster.defs.landing.pipeline import missing_input
from mlops_dagster.defs.landing.quarantine import last_seen, unseen_drops
from mlops_dagster.defs.landing.runs import RunsOfRequest, runs_of
from mlops_dagster.errors import MlopsError
from mlops_dagster.landing import (
    BatchRecord,
    DropState,
    Landing,
    Status,
    Tick,
    fail_attempt,
    status,
    tick,
)
from mlops_dagster.landing.declaration import declared_place
from mlops_dagster.project import Project
from mlops_dagster.workspace import connect

# A tick is cut off after 60 s (DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS); the source gets a part of it.
_LOOK_SECONDS = 20.0
# The daemon starts a sensor every 5 s at most; for most of these a tick that has found nothing goes
# on looking, resting nine times as long as a look takes and half a second at least.
_WATCH_SECONDS, _REST, _LEAST_REST = 4.0, 9, 0.5
# An attempt whose run has died so often has failed.
_MOST_DEATHS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0


def landing_sensor(project: Project, job: Any) -> dg.SensorDefinition:
    """On from the start: what is declared to be scored when it lands is scored."""
    assert project.landing is not None  # noqa: S101 - called where there is one

    @dg.sensor(
        name="landing_sensor",
        job=job,
        minimum_interval_seconds=max(1, int(project.landing.declared.interval.total_seconds())),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Batches what lands in {declared_place(project).drops} and has it scored.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        try:
            return _Look(project, context).result()
        except MlopsError as error:
            # The next tick tries again whatever cannot be reached now.
            return dg.SensorResult(skip_reason=dg.SkipReason(str(error)), cursor=context.cursor)

    return look


class _Look:
    """One evaluation."""

    def __init__(self, project: Project, context: dg.SensorEvaluationContext) -> None:
        self._project = project
        self._context = context
        self._landing: Landing = project_landing(project)
        self._why: list[str] = []

    def result(self) -> dg.SensorResult:
        look, requests = self._look()
        until, rest = time.monotonic() + self._patience(), _LEAST_REST
        while not requests and time.monotonic() + rest < until:
            time.sleep(rest)
            started = time.monotonic()
            look, requests = self._look()
            rest = max(_LEAST_REST, _REST * (time.monotonic() - started))
        if look.new or look.made:
            # Every line of a tick's log costs a file, and most ticks find nothing.
            self._context.log.info(_summary(look))
        cursor, events = self._check_events(is_idle=not look.requests)
        reason = look.skip_reason or "; ".join(self._why) or "the batches are at work"
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(reason),
            cursor=cursor,
            asset_events=events,
        )

    def _look(self) -> tuple[Tick, list[dg.RunRequest]]:
        self._why = []
        look = tick(self._landing, seconds=_LOOK_SECONDS)
        return look, list(self._requests(look)) if look.requests else []

    def _patience(self) -> float:
        """Seconds to go on looking; none where other sensors would have to wait for this one."""
        is_alone = self._context.instance.get_sensor_settings().get("use_threads", False)
        return _WATCH_SECONDS if is_alone and self._landing.is_cheap_to_watch else 0.0

    def _requests(self, look: Tick) -> Iterator[dg.RunRequest]:
        if (absent := self._missing_input()) is not None:
            self._why.append(f"{len(look.requests)} batches wait: {absent}")
            return
        for record in look.requests:
            key = self._run_key(record)
            if key is not None:
                yield dg.RunRequest(run_key=key, tags=run_tags(record))

    def _missing_input(self) -> str | None:
        landing = self._project.landing
        assert landing is not None  # noqa: S101 - its sensor exists
        workspace = connect(project=self._project.folder)
        try:
            return missing_input(self._project, landing, self._context.instance, workspace)
        finally:
            workspace.close()

    def _run_key(self, record: BatchRecord) -> str | None:
        """The key of the run that the batch should have now; None where it should have none."""
        runs = runs_of(self._context.instance, record)
        batch = record.batch.id
        if runs.unlaunched is not None:
            # Made by a daemon that died before it started it: the same key lets it go on.
            return runs.unlaunched
        if runs.going:
            self._why.append(f"batch {batch} is at work")
            return None
        if not runs.ended:
            return record.request
        current = self._landing.ledger.batch(batch)
        if current.attempt != record.attempt or not current.state.is_open:
            return None  # that run has ended it meanwhile
        if runs.dead >= _MOST_DEATHS:
            reason = f"Its run died {runs.dead} times; the last one's log says more."
            fail_attempt(self._landing, batch, record.attempt, reason)
            self._why.append(f"batch {batch}: attempt {record.attempt} failed")
            return None
        if (left := _pause(runs)) > 0:
            self._why.append(f"batch {batch} is tried again in {left:.0f} s")
            return None
        return f"{record.request}-{runs.ended + 1}"

    def _check_events(self, *, is_idle: bool) -> tuple[str, list[dg.AssetCheckEvaluation]]:
        """The cursor, and the results of checks that Dagster does not show yet."""
        instance, now = self._context.instance, status(self._landing)
        key = _quarantine_state(now, last_seen(instance, self._project))
        before = _json_object(self._context.cursor)
        # Which drops are unseen is worked out anew only where something has changed.
        unseen = before.get("unseen", 0)
        if before.get("quarantine") != key:
            unseen = len(unseen_drops(instance, self._project, self._landing))
        findings = ledger_findings(self._project, now, unseen)
        events = list(check_events(instance, self._project, findings, is_idle=is_idle))
        return json.dumps({"quarantine": key, "unseen": unseen}), events


def _quarantine_state(now: Status, seen: int) -> str:
    """Changes whenever what lies in quarantine, or what of it was seen, may have changed."""
    ended = (now.drops.get(state, 0) for state in (DropState.SCORED, DropState.QUARANTINED))
    return ".".join(map(str, (*ended, now.quarantined, seen)))


def _json_object(text: str | None) -> dict[str, Any]:
    value = json.loads(text or "{}")
    return value if isinstance(value, dict) else {}


def _pause(runs: RunsOfRequest) -> float:
    """Seconds that are still to wait: none after the first death, then longer and longer."""
    again = runs.ended - 2 if runs.dead == runs.ended else runs.ended - 1
    if again < 0 or runs.last_end is None:
        return 0.0
    pause = timedelta(seconds=min(_FIRST_PAUSE * 2 ** min(again, 10), _LONGEST_PAUSE))
    return (runs.last_end + pause - datetime.now(UTC)).total_seconds()


def _summary(look: Tick) -> str:
    unfinished = "" if look.complete else ", and the next look goes on"
    return f"{look.new:,} new drops, {look.made} new batches, {look.waiting:,} wait{unfinished}"
