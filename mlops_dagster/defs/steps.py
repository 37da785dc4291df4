"""The steps of a pipeline: an asset each, and one Azure ML job a materialization."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_dagster.aml.graph import PipelineInput, StepOutput, step_job
from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import Step
from mlops_dagster.defs import asset_specs
from mlops_dagster.defs.automation import automation_condition
from mlops_dagster.defs.code_links import code_references
from mlops_dagster.defs.job_metadata import job_metadata, producing_job, tracked_metadata
from mlops_dagster.defs.keys import compute_pool, group_name, model_key, product_key, step_key
from mlops_dagster.defs.materialized_outputs import MaterializedOutputs, latest_outputs
from mlops_dagster.defs.running import run_job
from mlops_dagster.defs.workspace_asset import workspace_asset
from mlops_dagster.project import (
    Feed,
    GivenInput,
    ModelInput,
    Pipeline,
    ProductInput,
    Project,
    step_feeds,
)
from mlops_dagster.release.champion import get_champion
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import JobRecord


def step_assets(project: Project) -> Iterator[dg.AssetsDefinition]:
    """An asset for every step of every pipeline, in running order."""
    for pipeline in project.pipelines.values():
        for step in pipeline.upstreams:
            yield _step_asset(project, pipeline, pipeline.component.jobs[step])


def _step_asset(project: Project, pipeline: Pipeline, step: Step) -> dg.AssetsDefinition:
    key = step_key(project.name, pipeline.name, step.name)
    spec = dg.AssetSpec(
        key,
        deps=sorted(_upstream_keys(project, pipeline, step.name)),
        description=step.description or step.component.description or None,
        group_name=group_name(project.name, pipeline.name),
        kinds={"azureml", _kind(step)},
        owners=list(pipeline.owners),
        code_version=asset_specs.code_version(step),
        partitions_def=asset_specs.partitions_definition(pipeline.partitions),
        automation_condition=automation_condition(pipeline.automation),
        metadata=code_references(project.folder, _code_locations(pipeline, step)),
    )

    def make(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
        return _Materialization(context, workspace, project, pipeline, step).result()

    return workspace_asset(spec, make, pool=_compute_pool(project, pipeline, step))


@dataclass(frozen=True)
class _Materialization:
    """One step, run once."""

    context: dg.AssetExecutionContext
    workspace: Workspace
    project: Project
    pipeline: Pipeline
    step: Step

    def result(self) -> dg.MaterializeResult[Any]:
        lineage: dict[str, str] = {}
        inputs = {
            name: value
            for name in self.pipeline.upstreams[self.step.name]
            if (value := self._input_value(name, lineage)) is not None
        }
        job = step_job(self.pipeline.job, self.step.name, inputs)
        experiment = self.pipeline.job.experiment_name or self.project.name
        record = run_job(self.context, self.workspace.jobs, job, experiment)
        producer = producing_job(record)
        lineage[self.context.asset_key.to_user_string()] = producer
        outputs = MaterializedOutputs(_outputs(record), lineage)
        return dg.MaterializeResult(
            metadata={
                **tracked_metadata(
                    self.workspace.jobs, producer, before_metrics=job_metadata(record)
                ),
                **outputs.as_metadata(),
            },
            data_version=_data_version(record),
        )

    def _input_value(self, name: str, lineage: dict[str, str]) -> InputValue | None:
        """The concrete value of one input; None leaves it to the YAML."""
        source = self.pipeline.upstreams[self.step.name][name]
        if isinstance(source, StepOutput):
            key = step_key(self.project.name, self.pipeline.name, source.step)
            partitioned = self.pipeline.partitions is not None
            upstream = latest_outputs(self.context, key, partitioned=partitioned)
            lineage.update(upstream.lineage)
            return self._upstream_value(name, key, upstream, source.output)
        if isinstance(source, PipelineInput) and source.name in self.pipeline.feeds:
            return self._feed_value(name, self.pipeline.feeds[source.name], lineage)
        return None

    def _feed_value(self, name: str, feed: Feed, lineage: dict[str, str]) -> InputValue:
        if isinstance(feed, GivenInput):
            return self._literal_value(feed)
        if isinstance(feed, ModelInput):
            champion = get_champion(self.workspace.models, feed.model)
            return InputValue(type=self._type(name), path=champion.reference)
        product = self.project.products[feed.product]
        key = product_key(self.project.name, product.name)
        partitioned = product.partitions is not None
        upstream = latest_outputs(self.context, key, partitioned=partitioned)
        lineage.update(upstream.lineage)
        return self._upstream_value(name, key, upstream, product.name, feed)

    def _upstream_value(
        self,
        name: str,
        key: dg.AssetKey,
        upstream: MaterializedOutputs,
        output: str,
        feed: ProductInput | None = None,
    ) -> InputValue:
        location = upstream.outputs.get(output)
        if location is None:
            raise dg.Failure(
                f"The newest materialization of {key.to_user_string()} has no output {output!r}; "
                "materialize it again, with the pipeline as it is now."
            )
        path = location["asset"] or location["uri"]
        if feed is not None and feed.path is not None:
            path = f"{location['uri'].rstrip('/')}/{self._with_partition(feed.path).lstrip('/')}"
        return InputValue(type=self._type(name), path=path)

    def _literal_value(self, feed: GivenInput) -> InputValue:
        value = feed.value
        if not feed.templated:
            return value
        if isinstance(value.value, str):
            return value.model_copy(update={"value": self._with_partition(value.value)})
        return value.model_copy(update={"path": self._with_partition(value.path or "")})

    def _with_partition(self, template: str) -> str:
        if not self.context.has_partition_key:
            return template
        window: dg.TimeWindow = self.context.partition_time_window
        return window.start.strftime(template)

    def _type(self, name: str) -> Any:
        spec = self.step.component.inputs.get(name)
        return spec.type if spec else None


def _upstream_keys(project: Project, pipeline: Pipeline, step: str) -> set[dg.AssetKey]:
    keys = set()
    for source in pipeline.upstreams[step].values():
        if isinstance(source, StepOutput):
            keys.add(step_key(project.name, pipeline.name, source.step))
    for feed in step_feeds(pipeline, step).values():
        if isinstance(feed, ProductInput):
            keys.add(product_key(project.name, feed.product))
        elif isinstance(feed, ModelInput):
            keys.add(model_key(project.name, feed.model))
    return keys


def _code_locations(pipeline: Pipeline, step: Step) -> Iterator[tuple[Path, int, str]]:
    yield pipeline.file, pipeline.lines.get(step.name, 0), f"step {step.name}"
    component = step.component
    if component.source is not None and component.source != pipeline.file:
        yield component.source, 0, "component"
    for folder in asset_specs.code_folders(component):
        yield folder, 0, "code"


def _compute_pool(project: Project, pipeline: Pipeline, step: Step) -> str | None:
    """Dagster's pool of a step's compute target: steps that wait for one another share it."""
    settings = pipeline.component.settings
    compute = step.compute or settings.default_compute or pipeline.job.step.compute
    return compute_pool(project.name, compute)


def _kind(step: Step) -> str:
    return "spark" if step.component.type == "spark" else "python"


def _outputs(record: JobRecord) -> dict[str, dict[str, str | None]]:
    return {
        output.name: {"type": output.type, "uri": output.uri, "asset": output.asset}
        for output in record.outputs.values()
    }


def _data_version(record: JobRecord) -> dg.DataVersion:
    """Outputs are immutable, so where they lie says what they are; a reused job changes nothing."""
    locations = "\0".join(f"{output.name}={output.uri}" for output in record.outputs.values())
    return dg.DataVersion(hashlib.sha256((locations or record.name).encode()).hexdigest()[:16])
