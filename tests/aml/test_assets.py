from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.aml import (
    PipelineComponent,
    check,
    load_compute,
    load_data,
    load_environment,
    load_model,
    load_schedule,
)
from mlops_dagster.aml.assets import Cron, Recurrence
from tests.aml.conftest import Write

CASES = Path(__file__).parent / "conformance"


def test_a_data_asset_has_an_absolute_path_and_a_version_as_text() -> None:
    asset = load_data(CASES / "data/uri_file.yml")

    assert (asset.name, asset.version, asset.type) == ("flights", "1", "uri_file")
    assert asset.path == str(CASES / "data/rows.csv")
    assert asset.tags == {"owner": "team"}


def test_a_model_may_lie_in_a_jobs_output() -> None:
    asset = load_model(CASES / "model/mlflow_model.yml")

    assert (asset.type, asset.path) == ("mlflow_model", "azureml://jobs/nightly-1/outputs/model")


def test_a_cluster_has_a_size_and_a_limit() -> None:
    cluster = load_compute(CASES / "compute/amlcompute.yml")

    assert (cluster.name, cluster.type, cluster.size) == (
        "cpu-cluster", "amlcompute", "Standard_D2_v3",
    )  # fmt: skip
    assert (cluster.min_instances, cluster.max_instances, cluster.tier) == (0, 4, "low_priority")
    assert cluster.settings == {"identity": {"type": "system_assigned"}}


@pytest.mark.parametrize("kind", ["computeinstance", "virtualmachine", "kubernetes"])
def test_any_other_compute_has_one_node(kind: str) -> None:
    assert load_compute(CASES / f"compute/{kind}.yml").max_instances == 1


def test_an_environment_asset_reads_its_conda_file() -> None:
    environment = load_environment(CASES / "environment/conda.yml")

    assert environment.name == "training"
    assert environment.conda is not None
    assert environment.conda["dependencies"][0] == "python=3.11"


def test_a_schedule_runs_the_job_of_a_file() -> None:
    schedule = load_schedule(CASES / "schedule/cron.yml")

    assert schedule.trigger == Cron(expression="0 3 * * *", start_time="2026-01-01T03:00:00")
    assert schedule.job is not None
    assert schedule.job.display_name == "Two steps"


def test_a_schedule_sets_fields_of_its_job_anew() -> None:
    schedule = load_schedule(CASES / "schedule/recurrence.yml")

    assert schedule.trigger == Recurrence(
        frequency="week", interval=1, hours=(4, 5), minutes=(30,), week_days=("monday", "friday")
    )
    assert schedule.job is not None
    assert schedule.job.step.inputs["rate"].value == 0.7
    assert schedule.job.step.inputs["rows"].path == str(CASES / "data/rows.csv")
    assert schedule.job.tags == {"by": "schedule"}
    assert isinstance(schedule.job.step.component, PipelineComponent)
    assert schedule.job.step.component.settings.continue_on_step_failure is True
    assert schedule.job.step.component.settings.force_rerun is True


def test_a_schedule_may_name_a_job_of_the_workspace() -> None:
    schedule = load_schedule(CASES / "schedule/registered.yml")

    assert (schedule.job, schedule.job_reference) == (None, "azureml:nightly-1")


@pytest.mark.parametrize(
    "text",
    [
        "$schema: https://x/managedOnlineEndpoint.schema.json\nname: a\nauth_mode: key\n",
        "name: blue\nendpoint_name: a\nmodel: azureml:m:1\nenvironment: azureml:e:1\n",
        "name: store\ntype: azure_blob\naccount_name: a\ncontainer_name: c\n",
        "name: e\ndependencies: [python=3.11]\n",
    ],
)
def test_other_kinds_of_files_are_only_read_as_yaml(text: str, write: Write) -> None:
    assert check(write(text)) == []
