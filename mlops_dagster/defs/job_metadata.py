"""What a materialization shows of the job behind it: links, figures, pictures, parameters."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import dagster as dg

from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace.ports import ChildRun, JobRecord, Jobs, Tracked

Metadata = dict[str, dg.MetadataValue]

_MOST_PARAMS = 100
_MOST_METRICS = 100
_MOST_PICTURES = 4
_LARGEST_PICTURE = 250_000  # bytes; a materialization is one row of Dagster's database


def producing_job(record: JobRecord) -> str:
    """The job that made the outputs: where they were taken over, the one that they come from."""
    return record.reused_from or record.name


def job_metadata(record: JobRecord) -> Metadata:
    """The job itself: name, page, seconds, and where its outputs lie."""
    metadata: Metadata = {"job": dg.MetadataValue.text(record.name)}
    if record.url:
        metadata["job page"] = dg.MetadataValue.url(record.url)
    if record.compute:
        metadata["compute"] = dg.MetadataValue.text(record.compute)
    if record.duration is not None:
        metadata["seconds"] = dg.MetadataValue.float(round(record.duration, 3))
    if record.reused_from:
        metadata["reused from"] = dg.MetadataValue.text(record.reused_from)
    for output in record.outputs.values():
        metadata[f"output {output.name}"] = dg.MetadataValue.text(output.uri)
        if output.asset:
            metadata[f"registered {output.name}"] = dg.MetadataValue.text(output.asset)
    return metadata


def tracked_metadata(jobs: Jobs, job: str, *, before_metrics: Metadata | None = None) -> Metadata:
    """What a job logged to MLflow, in the order of a page: pictures and links first, metrics last.

    Each metric is a float, so that Dagster plots it over time; parameters are a table. Where the
    tracking store does not answer, that is all it shows; the materialization is made.

    Args:
        before_metrics: what is shown before the metrics.
    """
    rest = before_metrics or {}
    try:
        tracked = jobs.tracked(job)
        metadata = _pictures(jobs, job, tracked)
    except MlopsError as error:
        return {"tracking": dg.MetadataValue.text(f"It cannot be read for now: {error}"), **rest}
    if tracked.url:
        metadata["MLflow run"] = dg.MetadataValue.url(tracked.url)
    if tracked.params:
        metadata["parameters"] = _table(tracked.params)
    metadata |= rest
    if tracked.runs:
        metadata["other runs"] = _runs_table(tracked.runs)
    return {**metadata, **metric_metadata(tracked.latest)}


def metric_metadata(metrics: Mapping[str, float], *, first: str = "") -> Metadata:
    """Each metric under its own name, ``first`` before the others."""
    names = sorted(metrics, key=lambda name: (name != first, name))[:_MOST_METRICS]
    return {name: dg.MetadataValue.float(float(metrics[name])) for name in names}


def _pictures(jobs: Jobs, job: str, tracked: Tracked) -> Metadata:
    pictures: Metadata = {}
    for path in sorted(tracked.artifacts):
        if not path.lower().endswith(".png") or len(pictures) == _MOST_PICTURES:
            continue
        content = jobs.artifact(job, path)
        if len(content) <= _LARGEST_PICTURE:
            name = PurePosixPath(path).stem
            coded = base64.b64encode(content).decode("ascii")
            pictures[f"picture {name}"] = dg.MetadataValue.md(
                f"![{name}](data:image/png;base64,{coded})"
            )
    return pictures


def _runs_table(runs: Sequence[ChildRun]) -> dg.MetadataValue:
    """Nested and later runs, apart from the job's own figures: they are not the job's."""
    rows = [
        dg.TableRecord({"run": run.name, "metric": name, "value": value})
        for run in runs
        for name, value in run.latest.items()
    ]
    columns = {"run": "string", "metric": "string", "value": "float"}
    return dg.MetadataValue.table(
        records=rows[:_MOST_METRICS],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )


def _table(params: Mapping[str, str]) -> dg.MetadataValue:
    rows = sorted(params.items())[:_MOST_PARAMS]
    return dg.MetadataValue.table(
        records=[dg.TableRecord({"parameter": name, "value": value}) for name, value in rows],
        schema=dg.TableSchema(
            columns=[dg.TableColumn("parameter", "string"), dg.TableColumn("value", "string")]
        ),
    )
