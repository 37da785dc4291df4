"""What `mlops demo` says at the end: which jobs ran, what they made, and where it lies."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_dagster.cli.demo.landing import LandingSummary, print_landing
from mlops_dagster.cli.output import duration, note, visible
from mlops_dagster.cli.progress import CheckResult, Outcome
from mlops_dagster.cli.tables import print_table
from mlops_dagster.errors import MlopsError

if TYPE_CHECKING:
    from mlops_dagster.project import Project
    from mlops_dagster.workspace import Workspace
    from mlops_dagster.workspace.ports import JobRecord

# The tag of a job that names the Dagster run that submitted it.
_RUN_TAG = "dagster.run"
_MOST_FIGURES = 8


@dataclass(frozen=True)
class JobSummary:
    """A job of the workspace that a run of the demo started.

    Attributes:
        seconds: of the job itself; None where it was reused.
        reused_from: the earlier job whose outputs it took over.
    """

    pipeline: str
    step: str
    job: str
    seconds: float | None
    reused_from: str | None


@dataclass(frozen=True)
class ModelSummary:
    """A registered model after the demo.

    Attributes:
        figures: the metrics of the job that logged the deciding one.
        gate: the checks of the model in this demo.
    """

    name: str
    version: str
    metric: str
    baseline: str | None
    figures: Mapping[str, float]
    gate: Sequence[CheckResult]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ResultPath:
    """An output of the last pipeline, and where it can be read."""

    output: str
    path: str


@dataclass(frozen=True)
class Summary:
    """What `mlops demo` ran and made; ``seconds`` is the time from its start to its end."""

    project: str
    seconds: float
    runs: Sequence[Outcome]
    jobs: Sequence[JobSummary]
    models: Sequence[ModelSummary]
    results: Sequence[ResultPath]
    landing: LandingSummary | None = None


def jobs_of(workspace: Workspace, run_id: str) -> list[JobRecord]:
    """The jobs that one run of Dagster started in the workspace, in that order."""
    found = workspace.jobs.list(tags={_RUN_TAG: run_id})
    return sorted(found, key=lambda record: record.created_at)


def summarize(
    workspace: Workspace,
    project: Project,
    outcomes: Sequence[Outcome],
    seconds: float,
    landing: LandingSummary | None = None,
) -> Summary:
    """Gather what the runs left in the workspace."""
    everything = [job for outcome in outcomes for job in jobs_of(workspace, outcome.run_id)]
    return Summary(
        project=project.name,
        seconds=seconds,
        runs=outcomes,
        jobs=[_job_summary(record) for record in everything],
        models=[
            found
            for name in project.models
            if (found := _model(workspace, project, name, everything, outcomes)) is not None
        ],
        results=_result_paths(workspace, project, everything),
        landing=landing,
    )


def print_summary(summary: Summary) -> None:
    """Print the summary as text and a table."""
    print()
    rows = [
        (
            job.pipeline,
            job.step,
            "reused" if job.reused_from else duration(job.seconds),
            job.job,
        )
        for job in summary.jobs
    ]
    print_table(("pipeline", "step", "took", "job"), rows, empty="No job was started.")
    print()
    _print_checks(summary)
    for model in summary.models:
        _print_model(model)
    if summary.results:
        print("\nWhere the results lie:")
    for result in summary.results:
        print(visible(f"  {result.output}: {result.path}"))
    if summary.landing is not None:
        print_landing(summary.landing)
    reused = sum(job.reused_from is not None for job in summary.jobs)
    reuse = (
        f"; {reused} of {len(summary.jobs)} steps had not changed and were reused" if reused else ""
    )
    print(f"\n{summary.project} took {duration(summary.seconds)} in all{reuse}.")
    note("See it in Dagster: mlops ui   (in this repository: make ui)")


def _job_summary(record: JobRecord) -> JobSummary:
    asset = record.tags.get("dagster.asset", record.display_name or record.name).split("/")
    return JobSummary(
        pipeline="/".join(asset[1:-1]),
        step=asset[-1],
        job=record.name,
        seconds=None if record.reused_from else record.duration,
        reused_from=record.reused_from,
    )


def _model(
    workspace: Workspace,
    project: Project,
    name: str,
    records: Sequence[JobRecord],
    outcomes: Sequence[Outcome],
) -> ModelSummary | None:
    declared = project.models[name]
    try:
        version = workspace.models.get(name)
    except MlopsError:
        return None
    figures: dict[str, float] = {}
    for record in records:
        if (
            _job_summary(record).pipeline == declared.origin.pipeline
            and declared.metric not in figures
        ):
            with contextlib.suppress(MlopsError):
                figures = workspace.jobs.tracked(record.reused_from or record.name).latest
    return ModelSummary(
        name=name,
        version=version.version,
        metric=declared.metric,
        baseline=declared.baseline,
        figures=figures,
        gate=[c for o in outcomes for c in o.checks if c.asset.split("/")[-1] == name],
        tags=version.tags,
    )


def _result_paths(
    workspace: Workspace, project: Project, records: Sequence[JobRecord]
) -> list[ResultPath]:
    """What the last pipeline declares as its outputs, as paths where they lie on this machine."""
    if not records:
        return []
    pipeline = _job_summary(records[-1]).pipeline
    declared = (
        project.pipelines[pipeline].component.outputs if pipeline in project.pipelines else {}
    )
    paths: dict[str, ResultPath] = {}
    for record in records:
        for output in record.outputs.values():
            if _job_summary(record).pipeline == pipeline and (
                output.name in declared or not declared
            ):
                path = output.uri
                with contextlib.suppress(MlopsError):
                    path = str(workspace.data.local_path(output.uri))
                paths[output.name] = ResultPath(output.name, path)
    return list(paths.values())


def _print_checks(summary: Summary) -> None:
    checks = [check for run in summary.runs for check in run.checks]
    failed = [check for check in checks if not check.passed]
    if not checks:
        return
    print(f"{len(checks) - len(failed)} of {len(checks)} data and model checks passed.")
    for check in failed:
        text = f"  {check.severity}: {check.asset} {check.check}: {check.description}"
        print(visible(text))


def _print_model(model: ModelSummary) -> None:
    print(f"\nModel {model.name} is at version {model.version}.")
    for check in model.gate:
        verdict = "passed" if check.passed else "not passed"
        print(visible(f"  Gate {check.check} {verdict}: {check.description}".removesuffix(": ")))
    figures = dict(model.figures)
    if model.metric in figures:
        against = ""
        if model.baseline in figures:
            against = f" against {figures.pop(model.baseline):.4g} of the baseline"
        print(f"  {model.metric} {figures.pop(model.metric):.4g}{against}")
    others = [f"{name} {value:.4g}" for name, value in figures.items()][:_MOST_FIGURES]
    if others:
        print(visible(f"  {', '.join(others)}"))
