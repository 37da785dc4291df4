"""In JSON a record has Azure ML's keys: those of its own schemas, and a few of ours after them."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from mlops_dagster.aml.assets import Cron
from mlops_dagster.cli.records import (
    asset_data,
    compute_data,
    inputs_of,
    job_data,
    model_data,
    schedule_data,
)
from mlops_dagster.workspace.ports import (
    ComputeTarget,
    DataVersion,
    JobRecord,
    JobStatus,
    ModelVersion,
    OutputRecord,
    ScheduleRecord,
)

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
JOB = JobRecord(
    "train-1",
    "command",
    JobStatus.COMPLETED,
    "flights",
    NOW,
    compute="cpu",
    outputs={"table": OutputRecord("table", "uri_file", "azureml://datastores/d/paths/t", None)},
)
RECORDS = [
    ("CommandJobSchema", job_data(JOB)),
    ("ModelSchema", model_data(ModelVersion("m", "1", "custom_model", "uri", "sha256:0", NOW))),
    ("DataSchema", asset_data(DataVersion("d", "1", "uri_file", "uri", NOW))),
    ("AmlComputeSchema", compute_data(ComputeTarget("cpu", "amlcompute", 4))),
    (
        "JobScheduleSchema",
        schedule_data(ScheduleRecord("s", Cron(type="cron", expression="0 6 * * *"), True, NOW)),
    ),
]
OURS = {
    "CommandJobSchema": {
        *(
            "step",
            "started_at",
            "ended_at",
            "duration",
            "error",
            "reused_from",
            "resumes",
            "archived",
        ),
    },
    "ModelSchema": {"digest", "data", "code"},
    "DataSchema": {"job_name"},
    "AmlComputeSchema": {"busy", "queued", "source"},
    "JobScheduleSchema": {"cron", "is_declared", "source"},
}


def fields_of_schema(name: str) -> set[str]:
    """The fields that azure-ai-ml's own schema reads and writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from azure.ai.ml import _schema
        from azure.ai.ml._schema.assets.data import DataSchema
        from azure.ai.ml._schema.compute.aml_compute import AmlComputeSchema
        from azure.ai.ml._schema.schedule.schedule import JobScheduleSchema

    schemas: dict[str, Any] = {
        **vars(_schema),
        "DataSchema": DataSchema,
        "AmlComputeSchema": AmlComputeSchema,
        "JobScheduleSchema": JobScheduleSchema,
    }
    return set(schemas[name](context={"base_path": "."}).fields)


@pytest.mark.parametrize(("schema", "data"), RECORDS, ids=[name for name, _ in RECORDS])
def test_every_key_is_azure_mls_or_said_to_be_ours(schema: str, data: dict[str, Any]) -> None:
    ours = set(data) - fields_of_schema(schema)
    assert ours == OURS[schema]
    assert list(data)[-len(ours) :] == [key for key in data if key in ours]


def test_a_jobs_experiment_outputs_and_creation_lie_where_azs_scripts_look() -> None:
    data = job_data(JOB)
    assert data["experiment_name"] == "flights"
    assert data["compute"] == "azureml:cpu"
    assert data["outputs"]["table"]["path"] == "azureml://datastores/d/paths/t"
    assert data["creation_context"]["created_at"] == NOW


def test_an_inputs_literal_stands_alone_and_its_data_as_a_path() -> None:
    given: dict[str, str | float] = {"rate": 0.1, "text": "abc", "rows": "azureml:rows:3"}
    job = JobRecord("j", "command", JobStatus.RUNNING, "e", NOW, inputs=given)
    assert inputs_of(job) == {"rate": 0.1, "text": "abc", "rows": {"path": "azureml:rows:3"}}
