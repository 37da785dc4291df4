"""Which options make another job of one YAML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.errors import Conflict
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobOptions
from tests.workspace.conftest import WriteJob

JOB = """
    command: cat ${{inputs.rates}}
    environment: {image: python, conda_file: {dependencies: [pip, {pip: []}]}}
    inputs: {rates: {type: uri_file, path: "azureml:rates@latest"}}
"""


@pytest.fixture
def rates(local: LocalWorkspace, tmp_path: Path) -> Path:
    """A registered data asset ``rates``, and a file of substitutions that puts another in its place."""
    (tmp_path / "rates.csv").write_text("1")
    (tmp_path / "other.csv").write_text("2")
    local.data.register("rates", str(tmp_path / "rates.csv"), type="uri_file")
    file = tmp_path / "substitutions.yml"
    file.write_text("data: {azureml:rates@latest: other.csv}")
    return file


def test_isolation_and_substitutions_make_another_job(
    local: LocalWorkspace, job: WriteJob, rates: Path
) -> None:
    first = local.jobs.submit(job(JOB), name="taken")
    for options in (JobOptions(isolate=True), JobOptions(substitutions=rates)):
        with pytest.raises(Conflict, match="'taken' already, and it does something else"):
            LocalWorkspace(local.home, options=options).jobs.submit(job(JOB), name="taken")
    assert local.jobs.submit(job(JOB), name="taken").created_at == first.created_at
    local.jobs.wait("taken", timeout=60)


def test_variables_that_the_home_names_make_another_job(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "command: echo $FLAVOUR"
    monkeypatch.setenv("FLAVOUR", "sweet")
    first = local.jobs.submit(job(text), name="taken")
    monkeypatch.setenv("FLAVOUR", "sour")
    assert local.jobs.submit(job(text), name="taken").created_at == first.created_at
    (local.home / "variables.yml").write_text("pass_on: [FLAVOUR]\n")
    with pytest.raises(Conflict):
        local.jobs.submit(job(text), name="taken")
    local.jobs.wait("taken", timeout=60)


def test_a_new_version_of_what_is_asked_for_by_its_label_makes_no_other_job(
    local: LocalWorkspace, job: WriteJob, rates: Path
) -> None:
    first = local.jobs.submit(job(JOB), name="taken")
    local.data.register("rates", str(rates.with_name("other.csv")), type="uri_file")
    assert local.jobs.submit(job(JOB), name="taken").created_at == first.created_at
    assert local.jobs.wait("taken", timeout=60).error is None
    assert local.jobs.log("taken", tail=1) == "1"
