"""What makes each product and model, and what feeds each pipeline: read from the pipelines' YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlops_dagster.aml.graph import PipelineInput, StepOutput
from mlops_dagster.aml.job import Job, PipelineComponent, Step
from mlops_dagster.project.project import (
    DataProduct,
    Feed,
    Model,
    ModelInput,
    Origin,
    Pipeline,
    ProductInput,
)

AssetPath = tuple[str, ...]
"""The last parts of an asset's key: ``("train", "evaluate")``, ``("models", "NAME")``."""

_PARENT_OUTPUT = re.compile(r"\$\{\{\s*parent\.outputs\.([^\s}]+)\s*\}\}")
_LATEST = re.compile(r"azureml:([^:@/]+)@latest")


def outputs(name: str, job: Job) -> dict[str, Origin]:
    """The outputs of a pipeline by their name in the pipeline, each with the step that makes it.

    A step's output that registers itself without being an output of the pipeline counts too,
    under the name that it registers.
    """
    component = job.step.component
    if not isinstance(component, PipelineComponent):
        return {}
    found: dict[str, Origin] = {}
    for step in component.jobs.values():
        for output, value in step.outputs.items():
            bound = _PARENT_OUTPUT.fullmatch(value.path or "")
            given = job.step.outputs.get(bound[1]) if bound else None
            asset = value.name or (given.name if given else None)
            key = bound[1] if bound else asset
            if key is not None:
                kind = (given.type if given else None) or value.type or _declared_type(step, output)
                found.setdefault(key, Origin(name, step.name, output, kind, asset))
    return found


def _declared_type(step: Step, output: str) -> str:
    spec = step.component.outputs.get(output)
    return spec.type if spec else "uri_folder"


def latest_asset(path: str | None) -> str | None:
    """``flights`` of ``azureml:flights@latest``; None for anything else."""
    found = _LATEST.fullmatch(path or "")
    return found[1] if found else None


def step_feeds(pipeline: Pipeline, step: str) -> dict[str, Feed]:
    """What feeds, from outside the pipeline, the inputs of one of its steps."""
    return {
        name: pipeline.feeds[source.name]
        for name, source in pipeline.upstreams[step].items()
        if isinstance(source, PipelineInput) and source.name in pipeline.feeds
    }


def cycle(
    pipelines: Mapping[str, Pipeline],
    products: Mapping[str, DataProduct],
    models: Mapping[str, Model],
) -> list[AssetPath]:
    """Assets that wait for one another, from one of them back to itself; empty where none do."""
    edges: dict[AssetPath, list[AssetPath]] = {}
    for pipeline in pipelines.values():
        for step in pipeline.upstreams:
            edges[pipeline.name, step] = list(_upstreams(pipeline, step))
    for product in products.values():
        edges["data_products", product.name] = _origin_nodes(product.origin)
    for model in models.values():
        edges["models", model.name] = _origin_nodes(model.origin)
    done: set[AssetPath] = set()
    for start in edges:
        trail = _find_cycle(start, edges, [], done)
        if trail:
            return trail
    return []


def _find_cycle(
    path: AssetPath,
    edges: Mapping[AssetPath, list[AssetPath]],
    trail: list[AssetPath],
    done: set[AssetPath],
) -> list[AssetPath]:
    if path in trail:
        return [*trail[trail.index(path) :], path]
    if path in done:
        return []
    for upstream in edges.get(path, ()):
        found = _find_cycle(upstream, edges, [*trail, path], done)
        if found:
            return found
    done.add(path)
    return []


def _upstreams(pipeline: Pipeline, step: str) -> Iterator[AssetPath]:
    for source in pipeline.upstreams[step].values():
        if isinstance(source, StepOutput):
            yield (pipeline.name, source.step)
    for feed in step_feeds(pipeline, step).values():
        if isinstance(feed, ProductInput):
            yield ("data_products", feed.product)
        elif isinstance(feed, ModelInput):
            yield ("models", feed.model)


def _origin_nodes(origin: Origin | None) -> list[AssetPath]:
    return [(origin.pipeline, origin.step)] if origin else []
