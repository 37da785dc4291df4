"""The tables of scores and of what could not be scored; a run scores one batch, or all that wait.

A run that the sensor asked for carries its batch as a tag. A run without the tag, from the button
or on a schedule, looks for new files itself and scores every batch that is open. Either may be
killed and run again: what was done already is found, not done twice.
"""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from mlops_dagster.defs.code_links import code_references
from mlops_dagster.defs.keys import compute_pool, group_name, op_name
from mlops_dagster.defs.landing.checks import reconciliation
from mlops_dagster.defs.landing.drift import drift
from mlops_dagster.defs.landing.keys import (
    BATCH_TAG,
    DRIFT,
    GROUP,
    RECONCILIATION,
    UNREACHABLE_TAG,
    project_landing,
    quarantine_key,
    scores_key,
)
from mlops_dagster.defs.landing.metadata import quarantine_metadata, scores_metadata
from mlops_dagster.defs.landing.pipeline import batch_scoring_job, upstream_keys
from mlops_dagster.defs.running import follow_job
from mlops_dagster.defs.workspace_resource import WorkspaceResource
from mlops_dagster.errors import MlopsError
from mlops_dagster.landing import BatchOutcome, BatchState, Landing, ScoringJob, score_batch, tick
from mlops_dagster.project import Project
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobRecord


def landing_assets(project: Project) -> dg.AssetsDefinition:
    """``landing/scores`` and ``landing/quarantine``, made together."""
    scores, quarantine = scores_key(project), quarantine_key(project)

    @dg.multi_asset(
        name=op_name(dg.AssetKey([project.name, GROUP])),
        pool=_compute_pool(project),
        specs=list(_specs(project)),
        check_specs=list(_check_specs(project)),
    )
    def score(
        context: dg.AssetExecutionContext, workspace: WorkspaceResource
    ) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # Dagster knows the bare class
        try:
            with workspace.connection() as ready:
                landing = project_landing(project)
                run = _Scoring(context, project, landing, ready)
                outcomes = run.outcomes()
                done = [each for each in outcomes if each.state is BatchState.DONE]
                if done or not outcomes:
                    yield dg.MaterializeResult(
                        asset_key=scores,
                        metadata=scores_metadata(landing, done),
                        check_results=list(run.checks(done)),
                    )
                    yield dg.MaterializeResult(
                        asset_key=quarantine, metadata=quarantine_metadata(landing, done)
                    )
        except MlopsError as error:
            # A failed job is an outcome. What is raised says nothing about the batch.
            context.instance.add_run_tags(context.run.run_id, {UNREACHABLE_TAG: "yes"})
            raise dg.Failure(str(error), allow_retries=False) from None
        _fail_for(outcomes)

    return score


def _compute_pool(project: Project) -> str | None:
    assert project.landing is not None  # noqa: S101 - called where there is one
    pipeline = project.landing.pipeline
    compute = pipeline.component.settings.default_compute or pipeline.job.step.compute
    return compute_pool(project.name, compute)


def _specs(project: Project) -> Iterator[dg.AssetSpec]:
    landing = project.landing
    assert landing is not None  # noqa: S101 - called where there is one
    common: dict[str, Any] = {
        "deps": sorted(upstream_keys(project, landing)),
        "group_name": group_name(project.name, GROUP),
        "owners": list(landing.owners),
    }
    place = code_references(
        project.folder,
        [(project.file, landing.line, "landing"), (landing.pipeline.file, 0, "pipeline")],
    )
    description = landing.declared.description
    yield dg.AssetSpec(
        scores_key(project),
        description=description or "Every row of every file that landed, scored once.",
        kinds={"azureml", "deltalake"},
        metadata=place,
        **common,
    )
    yield dg.AssetSpec(
        quarantine_key(project),
        description="Files and rows that could not be scored, each with its reason.",
        kinds={"deltalake"},
        metadata=place,
        **common,
    )


def _check_specs(project: Project) -> Iterator[dg.AssetCheckSpec]:
    landing = project.landing
    assert landing is not None  # noqa: S101 - called where there is one
    key = scores_key(project)
    description = "Every row of every drop is scored or in quarantine, once."
    yield dg.AssetCheckSpec(RECONCILIATION, asset=key, description=description)
    if (found := landing.declared.drift) is not None:
        description = (
            f"{found.column} is distributed as in {found.reference} (PSI up to {found.psi:g})."
        )
        yield dg.AssetCheckSpec(DRIFT, asset=key, description=description)


class _Scoring:
    """One run: its batches, scored one after the other."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        project: Project,
        landing: Landing,
        workspace: Workspace,
    ) -> None:
        self._context = context
        self._project = project
        self._landing = landing
        self._workspace = workspace
        self._job: ScoringJob | None = None

    def outcomes(self) -> list[BatchOutcome]:
        """How it ended for each batch of this run; empty where nothing waits."""
        batch = self._context.run.tags.get(BATCH_TAG)
        if batch is not None:
            return [self._outcome(batch)]
        look = tick(self._landing)
        self._context.log.info(look.skip_reason or f"{len(look.requests)} batches are open")
        return [self._outcome(record.batch.id) for record in look.requests]

    def checks(self, done: Iterable[BatchOutcome]) -> Iterator[dg.AssetCheckResult]:
        """Of the rows that this run committed."""
        done = list(done)
        yield reconciliation(self._landing, done)
        declared_here = self._project.landing
        if declared_here is not None and declared_here.declared.drift is not None:
            yield drift(self._context, self._project, self._landing, self._workspace, done)

    def _outcome(self, batch: str) -> BatchOutcome:
        declared_here = self._project.landing
        assert declared_here is not None  # noqa: S101 - its assets exist
        if self._job is None:
            self._job = batch_scoring_job(
                self._context, self._project, declared_here, self._workspace
            )
        return score_batch(
            self._landing,
            batch,
            workspace=self._workspace,
            scoring=self._job,
            experiment=declared_here.pipeline.job.experiment_name or self._project.name,
            tags={
                "dagster.asset": f"{self._project.name}/{declared_here.pipeline.name}",
                "dagster.run": self._context.run.run_id,
            },
            on_submit=self._follow,
        )

    def _follow(self, record: JobRecord) -> None:
        follow_job(self._context, self._workspace.jobs, record)


def _fail_for(outcomes: Iterable[BatchOutcome]) -> None:
    """End the run as failed where a batch was not scored, and say what becomes of it."""
    messages = []
    for outcome in outcomes:
        if outcome.state is BatchState.FAILED:
            messages.append(
                f"Batch {outcome.batch} is given up after {outcome.attempt} attempts: "
                f"{outcome.error}\nReplay its drops once the cause is mended: mlops landing replay"
            )
        elif outcome.state is BatchState.DIVIDED:
            messages.append(
                f"Attempt {outcome.attempt} at batch {outcome.batch} failed. It was divided into "
                f"smaller batches, to score the others and find the cause: {outcome.error}"
            )
        elif outcome.state is not BatchState.DONE:
            messages.append(
                f"Attempt {outcome.attempt} at batch {outcome.batch} failed, and it will be tried "
                f"again: {outcome.error}"
            )
    if messages:
        raise dg.Failure("\n".join(messages), allow_retries=False)
