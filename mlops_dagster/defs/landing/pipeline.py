"""The project's pipeline as the job that scores a batch: every input given but the files."""

from __future__ import annotations

from typing import Any

import dagster as dg

from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import Job
from mlops_dagster.defs.keys import model_key, product_key
from mlops_dagster.defs.materialized_outputs import latest_outputs
from mlops_dagster.landing import ScoringJob
from mlops_dagster.project import Feed, GivenInput, Landing, ModelInput, ProductInput, Project
from mlops_dagster.release.champion import find_champion, get_champion
from mlops_dagster.workspace import Workspace

_NO_MODEL = "none"


def upstream_keys(project: Project, landing: Landing) -> set[dg.AssetKey]:
    """The products and models that a batch is scored with."""
    keys = set()
    for feed in _feeds(landing).values():
        if isinstance(feed, ProductInput):
            keys.add(product_key(project.name, feed.product))
        elif isinstance(feed, ModelInput):
            keys.add(model_key(project.name, feed.model))
    return keys


def missing_input(
    project: Project, landing: Landing, instance: dg.DagsterInstance, workspace: Workspace
) -> str | None:
    """What a batch cannot be scored without and is not there yet, in one line; None if nothing."""
    for feed in _feeds(landing).values():
        if isinstance(feed, ModelInput) and find_champion(workspace.models, feed.model) is None:
            return f"no version of {feed.model!r} has passed its gate yet"
        if isinstance(feed, ProductInput):
            key = product_key(project.name, feed.product)
            if instance.get_latest_materialization_event(key) is None:
                return f"{key.to_user_string()} has not been materialized yet"
    return None


def batch_scoring_job(
    context: dg.AssetExecutionContext, project: Project, landing: Landing, workspace: Workspace
) -> ScoringJob:
    """The pipeline, with the newest products and the champion's exact version.

    Raises dagster.Failure where a product has not been materialized, NotFound without a champion.
    """
    job = landing.pipeline.job
    inputs = dict(job.step.inputs)
    model = _NO_MODEL
    for name, feed in _feeds(landing).items():
        kind = _type(job, name)
        if isinstance(feed, GivenInput):
            inputs[name] = feed.value
            if str(kind).endswith("_model"):
                model = feed.value.path or model
        elif isinstance(feed, ModelInput):
            model = get_champion(workspace.models, feed.model).reference
            inputs[name] = InputValue(type=kind, path=model)
        else:
            key = product_key(project.name, feed.product)
            output = latest_outputs(context, key, partitioned=False).outputs[feed.product]
            inputs[name] = InputValue(type=kind, path=output["asset"] or output["uri"])
    step = job.step.model_copy(update={"inputs": inputs})
    return ScoringJob(
        job=job.model_copy(update={"step": step}), model=model, drops=landing.declared.input
    )


def champion_model(landing: Landing) -> str | None:
    """The model of the project that the pipeline scores with."""
    feeds = _feeds(landing).values()
    return next((feed.model for feed in feeds if isinstance(feed, ModelInput)), None)


def _feeds(landing: Landing) -> dict[str, Feed]:
    feeds = landing.pipeline.feeds
    return {name: feed for name, feed in feeds.items() if name != landing.declared.input}


def _type(job: Job, name: str) -> Any:
    before = job.step.inputs.get(name)
    spec = job.step.component.inputs.get(name)
    return (before.type if before else None) or (spec.type if spec else None) or "uri_folder"
