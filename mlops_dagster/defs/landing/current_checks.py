"""Keeps the landing's checks true while no run of it is at work.

Dagster shows the check of the run that was planned last, and only where it was made for the newest
materialization. Runs of batches that overlap end in another order than they were planned, and a run
that fails leaves its checks without a result; either way the page would say "not evaluated". Once
the landing is idle, the sensor reports what was found as events of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import dagster as dg
from dagster import AssetCheckKey
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from mlops_dagster.defs.landing.checks import LedgerFinding
from mlops_dagster.defs.landing.keys import DRIFT, RECONCILIATION, scores_key
from mlops_dagster.project import Project

_MOST_RESULTS = 200
_EVALUATED = (AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED)


def check_events(
    instance: dg.DagsterInstance,
    project: Project,
    findings: Iterable[LedgerFinding],
    *,
    is_idle: bool,
) -> Iterator[dg.AssetCheckEvaluation]:
    """The results to report: those that changed, and, once idle, those that Dagster shows as old.

    Args:
        findings: what the ledger says now.
        is_idle: whether no batch is open.
    """
    by_key = {AssetCheckKey(each.asset_key(project), each.check): each for each in findings}
    of_batches = [AssetCheckKey(scores_key(project), name) for name in (RECONCILIATION, DRIFT)]
    records = _latest_records(instance, [*by_key, *of_batches])
    targets = _newest_materializations(instance, {key.asset_key for key in (*by_key, *of_batches)})
    for key, finding in by_key.items():
        record, target = records.get(key), targets.get(key.asset_key)
        if _is_under_way(instance, record):
            continue
        is_old = is_idle and target is not None and not _is_for(record, target)
        if is_old or finding.differs_from(_evaluation(record)):
            yield finding.evaluation(project, target)
    for key in of_batches if is_idle else ():
        record, target = records.get(key), targets.get(key.asset_key)
        if target is None or _is_under_way(instance, record) or _is_for(record, target):
            continue
        result = _result_since_last_report(instance, key)
        if result is not None:
            yield _for_materialization(result, target)


def _latest_records(
    instance: dg.DagsterInstance, keys: list[AssetCheckKey]
) -> Mapping[AssetCheckKey, AssetCheckExecutionRecord]:
    return instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)


def _newest_materializations(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, Target]:
    targets = {}
    for record in instance.get_asset_records(list(keys)):
        materialization = record.asset_entry.last_materialization_record
        if materialization is not None:
            run = materialization.event_log_entry.run_id
            targets[record.asset_entry.asset_key] = Target(
                storage_id=materialization.storage_id,
                run_id=run,
                timestamp=materialization.timestamp,
            )
    return targets


def _is_under_way(instance: dg.DagsterInstance, record: AssetCheckExecutionRecord | None) -> bool:
    """Whether a run is still to give its result."""
    if record is None or record.status in _EVALUATED:
        return False
    run = instance.get_run_by_id(record.run_id)
    return run is not None and not run.is_finished


def _is_for(record: AssetCheckExecutionRecord | None, newest: Target) -> bool:
    """Whether Dagster takes a result for one of the newest materialization."""
    evaluation = _evaluation(record)
    if record is None or evaluation is None:
        return False
    target = evaluation.target_materialization_data
    is_same = target is not None and target.storage_id == newest.storage_id
    return is_same or record.run_id == newest.run_id


def _evaluation(record: AssetCheckExecutionRecord | None) -> dg.AssetCheckEvaluation | None:
    """The result that a record holds; one that is only planned holds none."""
    return record.evaluation if record is not None and record.status in _EVALUATED else None


def _result_since_last_report(
    instance: dg.DagsterInstance, key: AssetCheckKey
) -> dg.AssetCheckEvaluation | None:
    """Of the results since the last report the newest that failed, else the newest."""
    latest = None
    storage = instance.event_log_storage
    for record in storage.get_asset_check_execution_history(key, limit=_MOST_RESULTS):
        result = _evaluation(record)
        if result is None:
            continue
        is_report = not record.run_id
        if not is_report and not result.passed:
            return result
        latest = latest or result
        if is_report:
            break
    return latest


def _for_materialization(
    result: dg.AssetCheckEvaluation, target: Target
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        metadata=result.metadata,
        target_materialization_data=target,
        severity=result.severity,
        description=result.description,
    )
