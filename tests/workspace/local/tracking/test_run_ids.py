"""The name of a job stands for its run wherever MLflow takes the id of one, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops_dagster.workspace.local.tracking.run_ids import body_with_ids, target_with_ids


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"run_id": "job", "key": "job"}, {"run_id": "RUN", "key": "job"}),
        ({"run_ids": ["job", "x"]}, {"run_ids": ["RUN", "x"]}),
        ({"source_run_id": "job"}, {"source_run_id": "RUN"}),
        (
            {"tags": [{"key": "mlflow.parentRunId", "value": "job"}, {"key": "k", "value": "job"}]},
            {"tags": [{"key": "mlflow.parentRunId", "value": "RUN"}, {"key": "k", "value": "job"}]},
        ),
        (
            {"run_id": "x", "key": "mlflow.parentRunId", "value": "job"},
            {"run_id": "x", "key": "mlflow.parentRunId", "value": "RUN"},
        ),
        (
            {"filter": "attributes.run_id IN ('job', 'x') and run_name = 'job'"},
            {"filter": "attributes.run_id IN ('RUN', 'x') and run_name = 'job'"},
        ),
        (
            {"filter": 'tags.`mlflow.parentRunId` = "job"'},
            {"filter": 'tags.`mlflow.parentRunId` = "RUN"'},
        ),
        (
            {"metrics": [{"key": "run_id", "value": 1}]},
            {"metrics": [{"key": "run_id", "value": 1}]},
        ),
    ],
)
def test_a_job_s_name_stands_for_its_run_in_a_message(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert json.loads(body_with_ids(json.dumps(before).encode(), {"job": "RUN"}.get)) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/api/2.0/mlflow/runs/get?run_id=job", "/api/2.0/mlflow/runs/get?run_id=RUN"),
        ("/x?run_ids=job&run_ids=b&k=job", "/x?run_ids=RUN&run_ids=b&k=job"),
        (
            "/api/2.0/mlflow-artifacts/artifacts/1/job/artifacts/job/a%20b",
            "/api/2.0/mlflow-artifacts/artifacts/1/RUN/artifacts/job/a%20b",
        ),
        ("/api/2.0/mlflow/experiments/get?name=job", "/api/2.0/mlflow/experiments/get?name=job"),
    ],
)
def test_a_job_s_name_stands_for_its_run_in_an_address(before: str, after: str) -> None:
    assert target_with_ids(before, {"job": "RUN"}.get) == after
