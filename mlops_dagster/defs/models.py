"""Registered models, and the gate in front of the champion.

The champion is the version whose tag ``champion_since`` is the newest; only passing the gate sets
it. Scoring reads the champion by itself, so that a version that failed is never used, whichever
way a run was started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mlops_dagster.defs import declared
from mlops_dagster.defs.gate import Verdict, judge
from mlops_dagster.defs.job_metadata import metric_metadata
from mlops_dagster.defs.keys import model_key, step_key
from mlops_dagster.defs.materializing import workspace_asset
from mlops_dagster.defs.newest import Made, newest
from mlops_dagster.defs.tables import markdown_table
from mlops_dagster.project import Model, Project
from mlops_dagster.workspace import Workspace
from mlops_dagster.workspace.ports import Jobs, ModelVersion

GATE = "quality_gate"
CHAMPION_SINCE = "champion_since"
METRIC_TAG = "metric."


def model_assets(project: Project) -> Iterator[dg.AssetsDefinition]:
    """An asset for every model: its newest registered version, judged."""
    for model in project.models.values():
        yield _model_asset(project, model)


def champion(workspace: Workspace, model: str) -> ModelVersion:
    """The version of a model that passed the gate last. Raises dagster.Failure where none did."""
    found = find_champion(workspace, model)
    if found is None:
        raise dg.Failure(
            f"No version of {model!r} has passed its gate yet, so there is none to use; "
            f"materialize the model, and see its check {GATE!r}."
        )
    return found


def find_champion(workspace: Workspace, model: str) -> ModelVersion | None:
    """The version of a model that passed the gate last, if one did."""
    passed = [version for version in workspace.models.list(model) if CHAMPION_SINCE in version.tags]
    return max(passed, key=lambda version: version.tags[CHAMPION_SINCE], default=None)


def _model_asset(project: Project, model: Model) -> dg.AssetsDefinition:
    key = model_key(project.name, model.name)
    spec = dg.AssetSpec(
        key,
        deps=[step_key(project.name, model.origin.pipeline, model.origin.step)],
        description=model.description or None,
        group_name="models",
        kinds={"azureml", "mlflow"} if model.origin.type == "mlflow_model" else {"azureml"},
        owners=list(model.owners),
        automation_condition=declared.automation(model.automation),
        metadata={
            "dagster/uri": f"azureml:{model.name}",
            **declared.code_references([(project.file, model.line, "model")]),
        },
    )
    told = f"{model.metric} against its bound, the baseline and the champion."
    gate = dg.AssetCheckSpec(GATE, asset=key, blocking=True, description=told)

    def make(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
        return _materialize(context, workspace, project, model)

    return workspace_asset(spec, make, checks=[gate])


def _materialize(
    context: dg.AssetExecutionContext, workspace: Workspace, project: Project, model: Model
) -> dg.MaterializeResult[Any]:
    key = step_key(project.name, model.origin.pipeline, model.origin.step)
    made = newest(context, key, partitioned=False)
    version = _registered(workspace, model, made, key)
    metrics = _logged(workspace.jobs, made.lineage)
    tags = {f"{METRIC_TAG}{name}": repr(value) for name, value in metrics.items()}
    version = workspace.models.tag(version.name, version.version, tags)
    reference = {"type": version.type, "uri": version.uri, "asset": version.reference}
    check = _gate(workspace, model, version, metrics)
    return dg.MaterializeResult(
        metadata={
            **metric_metadata(metrics),
            "version": dg.MetadataValue.text(version.reference),
            "digest": dg.MetadataValue.text(version.digest),
            "uri": dg.MetadataValue.text(version.uri),
            "made from": dg.MetadataValue.md(_provenance(version, made.lineage)),
            **Made({model.name: reference}, made.lineage).as_metadata(),
        },
        check_results=[check],
        data_version=dg.DataVersion(version.digest),
    )


def _registered(workspace: Workspace, model: Model, made: Made, key: dg.AssetKey) -> ModelVersion:
    """The version as which the step's output registered itself."""
    asset = (made.outputs.get(model.origin.output) or {}).get("asset")
    if not asset:
        raise dg.Failure(
            f"The newest materialization of {key.to_user_string()} registered no model from its "
            f"output {model.origin.output!r}; materialize it again."
        )
    _, name, version = asset.split(":", 2)
    return workspace.models.get(name, version)


def _logged(jobs: Jobs, lineage: Mapping[str, str]) -> dict[str, float]:
    """The metrics of the very jobs that this version was made from; of two alike, the later's."""
    metrics: dict[str, float] = {}
    for job in lineage.values():
        metrics.update(jobs.tracked(job).latest)
    return metrics


def _gate(
    workspace: Workspace, model: Model, version: ModelVersion, metrics: Mapping[str, float]
) -> dg.AssetCheckResult:
    holder = find_champion(workspace, model.name)
    is_holder = holder is not None and holder.version == version.version
    rival = None if holder is None or is_holder else _recorded(holder)
    verdicts = judge(model, metrics, rival)
    passed = all(verdict.passed for verdict in verdicts)
    if passed and not is_holder:
        since = datetime.now(UTC).isoformat(timespec="microseconds")
        workspace.models.tag(version.name, version.version, {CHAMPION_SINCE: since})
        holder = version
    stands = holder.reference if holder else "none yet"
    return dg.AssetCheckResult(
        check_name=GATE,
        passed=passed,
        description=_outcome(version, stands, passed=passed, is_holder=is_holder),
        metadata={
            "rules": dg.MetadataValue.md(_verdict_table(verdicts)),
            "version": dg.MetadataValue.text(version.reference),
            "champion": dg.MetadataValue.text(stands),
        },
    )


def _recorded(version: ModelVersion) -> dict[str, float]:
    return {
        tag.removeprefix(METRIC_TAG): float(value)
        for tag, value in version.tags.items()
        if tag.startswith(METRIC_TAG)
    }


def _outcome(version: ModelVersion, stands: str, *, passed: bool, is_holder: bool) -> str:
    if not passed:
        return f"{version.reference} is refused; the champion is {stands}."
    return f"{version.reference} {'stays' if is_holder else 'is now'} the champion."


def _verdict_table(verdicts: list[Verdict]) -> str:
    lines = [
        (each.rule, each.found, each.needed, "yes" if each.passed else "no") for each in verdicts
    ]
    return markdown_table(("rule", "found", "needed", "passed"), lines)


def _provenance(version: ModelVersion, lineage: Mapping[str, str]) -> str:
    lines = [(asset, job) for asset, job in lineage.items()]
    lines += [("data", reference) for reference in version.data]
    if version.code:
        lines.append(("code", version.code))
    return markdown_table(("asset", "job or version"), lines)
