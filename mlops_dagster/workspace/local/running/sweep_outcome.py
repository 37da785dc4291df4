"""How a sweep ends: with the best trial's outputs as its own, or with why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_dagster.system.files import copy_tree, remove
from mlops_dagster.workspace.local.ground.plan import PlannedStep
from mlops_dagster.workspace.local.kinds.sweep.search import Search
from mlops_dagster.workspace.local.kinds.sweep.trials import TrialResult
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.running.execution import register
from mlops_dagster.workspace.ports import JobStatus, OutputRecord

if TYPE_CHECKING:
    from mlops_dagster.workspace.local.running.context import RunContext


def publish(context: RunContext, step: PlannedStep, best: TrialResult) -> list[OutputRecord]:
    """Make the best trial's outputs the sweep's own; the files of both are one on the disk."""
    if not step.outputs:
        return []
    records.change_status(
        context.state, step.job, JobStatus.FINALIZING, only_from=[JobStatus.RUNNING]
    )
    with context.state.read() as connection:
        found = {name: records.output(connection, best.job, name) for name in step.outputs}
    for name, output in step.outputs.items():
        source = found[name]
        assert source is not None  # noqa: S101 - the best has completed, with every output
        place = context.storage.outputs.stage(output.uri, output.type, step.job, name)
        remove(place)
        copy_tree(context.storage.path_of(source.uri), place, link=True)
        context.storage.outputs.publish(place, output.uri)
    return [
        OutputRecord(name, output.type, output.uri, register(context, step, output))
        for name, output in step.outputs.items()
    ]


def no_best_trial_reason(context: RunContext, search: Search, trials: Sequence[TrialResult]) -> str:
    """Why a sweep that came to its end has no best trial."""
    failed = [each for each in trials if each.status is JobStatus.FAILED]
    if failed and len(failed) == len(trials):
        return f"All {len(trials)} trials failed; {failed[0].job}: {failed[0].error}"
    if not any(each.counts for each in trials):
        return f"None of its {len(trials)} trials ran to its end."
    failures = f" {len(failed)} of them failed." if failed else ""
    if any(each.counts and each.logged for each in trials):
        return f"None of its {len(trials)} trials both completed and brought the metric.{failures}"
    from mlops_dagster.workspace.local.tracking import read_tracked

    tracked = read_tracked(context.home, [each.job for each in trials])
    names = sorted(tracked.metrics)
    logged = f"they logged {', '.join(names)}" if names else "they logged no metric at all"
    if any(search.primary_metric in run.metrics for run in tracked.runs):
        logged += ", and it only to other MLflow runs that they opened, which do not count"
    return (
        f"None of its {len(trials)} trials brought the primary metric"
        f" {search.primary_metric!r}: {logged}.{failures} Log it in the trial:"
        f" mlflow.log_metric({search.primary_metric!r}, VALUE)."
    )
