"""The sensors that send alerts: of runs that failed, and of the landing's checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import dagster as dg
from dagster import AssetCheckKey

from mlops_dagster.defs.alerts.sending import Alert, AlertTargets
from mlops_dagster.defs.landing.keys import BATCH_TAG, landing_check_keys
from mlops_dagster.project import Project

_LONGEST = 2_000  # characters of a reason


def alert_sensors(project: Project) -> Iterator[dg.SensorDefinition]:
    """The sensors that send alerts; none where the environment names no target."""
    targets = AlertTargets.from_environment()
    if not targets:
        return
    yield _failure_sensor(project, targets)
    if keys := landing_check_keys(project):
        yield _check_sensor(project, targets, keys)


def _failure_sensor(project: Project, targets: AlertTargets) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="failure_alerts",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells a person of every run that failed.",
    )
    def failure_alerts(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        # A failed attempt at a batch is tried again; the check given_up reports the last one.
        if BATCH_TAG not in run.tags:
            reasons = [event.step_failure_data.error_display_string
                       for event in context.get_step_failure_events()]  # fmt: skip
            text = "\n".join(reasons) or context.failure_event.message or ""
            title = f"{project.name}: run {run.run_id[:8]} of {_job_name(run)} failed"
            targets.send(Alert(title, text[:_LONGEST], f"/runs/{run.run_id}"))

    return failure_alerts


def _check_sensor(
    project: Project, targets: AlertTargets, keys: Sequence[AssetCheckKey]
) -> dg.SensorDefinition:
    @dg.sensor(
        name="landing_alerts",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells a person when a check of the landing fails, or fails for another reason.",
    )
    def landing_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        before: dict[str, str] = json.loads(context.cursor or "{}")
        storage = context.instance.event_log_storage
        records = storage.get_latest_asset_check_execution_by_key(keys)
        for key in keys:
            record = records.get(key)
            evaluation = record.evaluation if record is not None else None
            if not isinstance(evaluation, dg.AssetCheckEvaluation):
                continue
            reason = "" if evaluation.passed else evaluation.description or "It failed."
            if reason and before.get(key.name) != reason:
                asset = key.asset_key.to_user_string()
                title = f"{project.name}: the check {key.name} of {asset} fails"
                page = f"/assets/{asset}?view=checks&checkDetail={key.name}"
                targets.send(Alert(title, reason[:_LONGEST], page))
            before[key.name] = reason
            context.update_cursor(json.dumps(before))
        return dg.SkipReason("No check fails that has not been reported.")

    return landing_alerts


def _job_name(run: dg.DagsterRun) -> str:
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    return ", ".join(assets) if assets and run.job_name.startswith("__") else run.job_name
