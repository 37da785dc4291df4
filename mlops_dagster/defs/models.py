"""Registered models: an asset each, with the quality gate as its check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from mlops_dagster.defs.automation import automation_condition
from mlops_dagster.defs.code_links import code_references
from mlops_dagster.defs.job_metadata import metric_metadata
from mlops_dagster.defs.keys import group_name, model_key, step_key
from mlops_dagster.defs.materialized_outputs import MaterializedOutputs, latest_outputs
from mlops_dagster.defs.tables import markdown_table
from mlops_dagster.defs.workspace_asset import workspace_asset
from mlops_dagster.project import Model, Project
from mlops_dagster.release.champion import GateDecision, judge_version
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import Jobs, ModelVersion

GATE = "quality_gate"

_MODEL_CARDS = ("model_card.md", "README.md")  # the latter is what MLflow's own models have
_LARGEST_CARD = 50_000  # bytes; a materialization is one row of Dagster's database


def model_assets(project: Project) -> Iterator[dg.AssetsDefinition]:
    """An asset for every model: its newest registered version, put through the gate."""
    for model in project.models.values():
        yield _model_asset(project, model)


def _model_asset(project: Project, model: Model) -> dg.AssetsDefinition:
    key = model_key(project.name, model.name)
    spec = dg.AssetSpec(
        key,
        deps=[step_key(project.name, model.origin.pipeline, model.origin.step)],
        description=model.description or None,
        group_name=group_name(project.name, "models"),
        kinds={"azureml", "mlflow"} if model.origin.type == "mlflow_model" else {"azureml"},
        owners=list(model.owners),
        automation_condition=automation_condition(model.automation),
        metadata={
            "dagster/uri": f"azureml:{model.name}",
            **code_references(project.folder, [(project.file, model.line, "model")]),
        },
    )
    description = f"{model.metric} against its bound, the baseline and the champion."
    gate = dg.AssetCheckSpec(GATE, asset=key, blocking=True, description=description)

    def make(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
        return _materialize(context, workspace, project, model)

    return workspace_asset(spec, make, checks=[gate])


def _materialize(
    context: dg.AssetExecutionContext, workspace: Workspace, project: Project, model: Model
) -> dg.MaterializeResult[Any]:
    key = step_key(project.name, model.origin.pipeline, model.origin.step)
    upstream = latest_outputs(context, key, partitioned=False)
    metrics = _lineage_metrics(workspace.jobs, upstream.lineage)
    version = _registered_version(workspace, model, upstream, key)
    decision = judge_version(workspace.models, model, version, metrics)
    reference = {"type": version.type, "uri": version.uri, "asset": version.reference}
    return dg.MaterializeResult(
        metadata={
            "champion": dg.MetadataValue.text(_champion_reference(decision)),
            "version": dg.MetadataValue.text(version.reference),
            "gate": dg.MetadataValue.text(decision.summary),
            **_model_card(workspace, version),
            **_mlflow_link(workspace.jobs, upstream.lineage),
            "made from": dg.MetadataValue.md(_provenance_table(version, upstream.lineage)),
            "uri": dg.MetadataValue.text(version.uri),
            "digest": dg.MetadataValue.text(version.digest),
            **metric_metadata(metrics, first=model.metric),
            **MaterializedOutputs({model.name: reference}, upstream.lineage).as_metadata(),
        },
        check_results=[_gate_result(decision, model.metric)],
        data_version=dg.DataVersion(version.digest),
    )


def _registered_version(
    workspace: Workspace, model: Model, upstream: MaterializedOutputs, key: dg.AssetKey
) -> ModelVersion:
    """The version as which the step's output registered itself."""
    asset = (upstream.outputs.get(model.origin.output) or {}).get("asset")
    if not asset:
        raise dg.Failure(
            f"The newest materialization of {key.to_user_string()} registered no model from its "
            f"output {model.origin.output!r}; materialize it again."
        )
    _, name, version = asset.split(":", 2)
    return workspace.models.get(name, version)


def _lineage_metrics(jobs: Jobs, lineage: Mapping[str, str]) -> dict[str, float]:
    """The metrics of the very jobs that this version was made from; of two alike, the later's."""
    metrics: dict[str, float] = {}
    for job in lineage.values():
        metrics.update(jobs.tracked(job).latest)
    return metrics


def _gate_result(decision: GateDecision, metric: str) -> dg.AssetCheckResult:
    figures = {
        result.compared_with: dg.MetadataValue.float(result.limit)
        for result in decision.results
        if result.compared_with and result.limit is not None
    }
    value = decision.results[0].value
    if value is not None:
        figures = {metric: dg.MetadataValue.float(value), **figures}
    return dg.AssetCheckResult(
        check_name=GATE,
        passed=decision.passed,
        description=decision.summary,
        metadata={
            "rules": dg.MetadataValue.md(_rules_table(decision)),
            "version": dg.MetadataValue.text(decision.version.reference),
            "champion": dg.MetadataValue.text(_champion_reference(decision)),
            **figures,
        },
    )


def _champion_reference(decision: GateDecision) -> str:
    return decision.champion.reference if decision.champion else "none yet"


def _model_card(workspace: Workspace, version: ModelVersion) -> dict[str, dg.MetadataValue]:
    """The Markdown file that lies beside the model's own files, where its job wrote one."""
    folder = workspace.data.local_path(version.uri)
    for name in _MODEL_CARDS:
        file = folder / name
        if file.is_file() and file.stat().st_size <= _LARGEST_CARD:
            text = file.read_text(encoding="utf-8", errors="replace")
            return {"model card": dg.MetadataValue.md(text)}
    return {}


def _mlflow_link(jobs: Jobs, lineage: Mapping[str, str]) -> dict[str, dg.MetadataValue]:
    """The page of the last job behind the version that logged anything to MLflow."""
    for job in reversed(list(lineage.values())):
        tracked = jobs.tracked(job)
        if tracked.url and tracked.metrics:
            return {"MLflow run": dg.MetadataValue.url(tracked.url)}
    return {}


def _rules_table(decision: GateDecision) -> str:
    lines = [
        (
            result.rule,
            "nothing" if result.value is None else f"{result.value:.6g}",
            result.required,
            "yes" if result.passed else "no",
        )
        for result in decision.results
    ]
    return markdown_table(("rule", "found", "required", "passed"), lines)


def _provenance_table(version: ModelVersion, lineage: Mapping[str, str]) -> str:
    lines = list(lineage.items())
    lines += [("data", reference) for reference in version.data]
    if version.code:
        lines.append(("code", version.code))
    return markdown_table(("asset", "job or version"), lines)
