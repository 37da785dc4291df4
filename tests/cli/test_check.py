"""`mlops check`: which files it looks at, and what it says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Mlops

ENVIRONMENT = "environment: {image: 'python:3.11'}\n"
GOOD = f"type: command\ncommand: echo hello\n{ENVIRONMENT}"
SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\n"


def test_a_folder_without_azure_ml_yaml_is_said_so(mlops: Mlops, here: Path) -> None:
    (here / "conda.yml").write_text("name: env\ndependencies: [python=3.11]\n")
    ran = mlops("check")
    assert (ran.status, ran.out) == (0, "")
    assert "no Azure ML YAML" in ran.err


def test_every_mistake_is_told_with_its_file_and_line(mlops: Mlops, here: Path) -> None:
    (here / "deep" / "er").mkdir(parents=True)
    (here / "good.yml").write_text(GOOD)
    (here / "deep" / "one.yml").write_text(SCHEMA + "command: date\ncomand: x\n" + ENVIRONMENT)
    (here / "deep" / "er" / "two.yaml").write_text(GOOD + "inputs:\n  a: 1\n  a: 2\n")
    ran = mlops("check", ".")
    assert ran.status == 2
    assert "deep/one.yml:3" in ran.out
    assert "deep/er/two.yaml:6" in ran.out
    assert "3 files checked" in ran.err
    assert "in 2 files" in ran.err


def test_azure_mls_older_schemas_are_its_own_too(mlops: Mlops, here: Path) -> None:
    (here / "import.yml").write_text(
        "$schema: http://azureml/sdk-2-0/DataImport.json\ntype: uri_file\nname: rows\n"
        "path: azureml://datastores/workspaceblobstore/paths/rows\nsource: {type: file_system}\n"
    )
    ran = mlops("check")
    assert ran.status == 2
    assert "import.yml:5: source: Data is imported from a connection by Azure alone." in ran.out


def test_as_json_a_mistake_has_its_fields(mlops: Mlops, here: Path) -> None:
    (here / "one.yml").write_text(SCHEMA + "command: date\ncomand: x\n" + ENVIRONMENT)
    ran = mlops("check", "one.yml", "-o", "json")
    assert ran.status == 2
    problem = json.loads(ran.out)[0]
    assert list(problem) == ["file", "line", "field", "message", "remedy"]
    assert (Path(problem["file"]).name, problem["line"], problem["field"]) == (
        "one.yml",
        3,
        "comand",
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("workflow.yml", "on: push\njobs:\n  a:\n    steps: [{run: 'true'}]\n"),
        ("compose.yaml", "services:\n  a: {image: x, command: run}\n"),
        ("chart.yaml", "a: {{ .Values.a }}\n"),
        ("other.yml", "$schema: https://example.org/s.json\ntype: command\n"),
        ("list.yml", "- type: command\n"),
        (".venv/job.yml", "type: command\n"),
        ("node_modules/job.yml", "type: command\n"),
    ],
)
def test_the_yaml_of_other_tools_is_left_alone(
    mlops: Mlops, here: Path, name: str, content: str
) -> None:
    (here / name).parent.mkdir(exist_ok=True)
    (here / name).write_text(content)
    assert mlops("check").status == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a: [", b"- 1", b"&a [*a]"])
def test_a_file_that_is_named_is_checked_whatever_it_holds(
    mlops: Mlops, here: Path, content: bytes
) -> None:
    (here / "odd.yml").write_bytes(content)
    ran = mlops("check", "odd.yml")
    assert ran.status == 2
    assert ran.out.startswith("odd.yml")


def test_project_yaml_is_checked_with_what_it_points_at(mlops: Mlops, here: Path) -> None:
    (here / "project.yaml").write_text("name: p\npipelines:\n  a: {file: pipelines/none.yml}\n")
    ran = mlops("check")
    assert ran.status == 2
    assert "none.yml" in ran.out


def test_a_folder_that_links_to_itself_ends(mlops: Mlops, here: Path) -> None:
    (here / "good.yml").write_text(GOOD)
    (here / "loop").symlink_to(here, target_is_directory=True)
    assert "1 file checked" in mlops("check").err


@pytest.mark.slow
def test_the_official_loader_is_asked_on_request(mlops: Mlops, here: Path) -> None:
    job = here / "job.yml"
    # Values that only Azure knows are left to Azure's own loader.
    job.write_text(f"{SCHEMA}{GOOD}compute: azureml:cpu\nqueue_settings: {{job_tier: golden}}\n")
    assert mlops("check").status == 0
    ran = mlops("check", "--official")
    assert ran.status == 2
    assert "job.yml:6: queue_settings.job_tier: azure-ai-ml:" in ran.out
    assert "'golden'" in ran.out
    job.write_text(f"{SCHEMA}{GOOD}compute: azureml:cpu\n")
    assert mlops("check", "--official").status == 0


def test_every_place_that_only_azure_can_run_is_told_with_its_line(
    mlops: Mlops, here: Path
) -> None:
    (here / "gpu.yml").write_text(
        "type: command\nname: train\nversion: 1\ncommand: date\nenvironment: azureml:e:1\n"
        "resources:\n  docker_args: --gpus all\n"
    )
    (here / "pipeline.yml").write_text(
        "type: pipeline\njobs:\n  best:\n    type: automl\n  train:\n    type: command\n"
        "    component: ./gpu.yml\n  loop:\n    type: do_while\n"
        "    body: ${{parent.jobs.train}}\n    condition: again\n    mapping: {}\n"
        "    limits: {max_iteration_count: 3}\n"
    )
    ran = mlops("check", ".")
    assert ran.status == 2
    assert "pipeline.yml:4: jobs.best.type: An AutoML job runs only on Azure." in ran.out
    assert (
        "pipeline.yml:9: jobs.loop.type: The control flow node do_while is decided by what a step writes"
        in ran.out
    )
    assert ran.out.count("gpu.yml:7: resources.docker_args: '--gpus all'") == 1
    assert "3 mistakes in 2 files" in ran.err


SCHEDULE = """\
name: NAME
trigger: {type: cron, expression: '0 3 * * *'}
create_job:
  type: command
  command: date
  environment: azureml:any@latest
"""


def test_schedules_that_dagster_could_not_tell_apart_are_told(mlops: Mlops, here: Path) -> None:
    for name in ("a-b", "a_b", "ab"):
        (here / f"{name}.yml").write_text(SCHEDULE.replace("NAME", name))
    ran = mlops("check", ".")
    assert ran.status == 2
    assert "a_b.yml:1: name: " in ran.out
    assert "a-b.yml has nearly this name, 'a-b': they are one to Dagster." in ran.out
    assert "1 mistake in 1 file" in ran.err


def test_a_compute_target_that_the_project_does_not_declare_is_told(
    mlops: Mlops, here: Path
) -> None:
    (here / "project.yaml").write_text("name: p\n")
    (here / ".cloud" / "local" / "compute").mkdir(parents=True)
    declared = here / ".cloud" / "local" / "compute" / "cpu.yml"
    declared.write_text("name: cpu-cluster\ntype: amlcompute\nsize: Standard_DS3_v2\n")
    (here / "job.yml").write_text(
        f"type: pipeline\nsettings:\n  default_compute: azureml:cpu-claster\njobs:\n"
        f"  a: {{command: date, compute: 'azureml:cpu-cluster', {ENVIRONMENT.strip()}}}\n"
        f"  b:\n    command: date\n    compute: azureml:gpu\n    {ENVIRONMENT}"
    )
    ran = mlops("check", ".")
    assert ran.status == 2
    assert "job.yml:3: settings.default_compute: The project declares no compute target" in ran.out
    assert "Did you mean 'cpu-cluster'?" in ran.out
    assert "job.yml:8: jobs.b.compute: The project declares no compute target 'gpu'." in ran.out
    assert "2 mistakes in 1 file" in ran.err
    assert mlops("--workspace", "dev", "check", ".").status == 0


def test_what_is_only_read_as_yaml_is_said(mlops: Mlops, here: Path) -> None:
    (here / "good.yml").write_text(GOOD)
    schema = "https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json"
    (here / "endpoint.yml").write_text(f"$schema: {schema}\nname: e\nauth_mode: kee\n")
    assert "2 files checked (endpoint.yml only as YAML: --official says more)" in mlops("check").err


def test_a_parallel_task_that_submitting_would_refuse_is_told(mlops: Mlops, here: Path) -> None:
    (here / "files").mkdir()
    (here / "pipeline.yml").write_text(
        "type: pipeline\njobs:\n  score:\n    type: parallel\n"
        "    inputs: {files: {type: uri_folder, path: ./files}}\n"
        "    outputs: {scores: {type: uri_folder}}\n    input_data: ${{inputs.files}}\n"
        "    task: {type: model, model: azureml:m:1, environment: azureml:e:1}\n"
    )
    ran = mlops("check")
    assert ran.status == 2
    assert "pipeline.yml:8: jobs.score.task.type: A parallel task of type model" in ran.out


def test_a_warning_is_told_and_is_no_mistake(mlops: Mlops, here: Path) -> None:
    (here / "pipeline.yml").write_text(
        f"type: pipeline\nsettings:\n  default_computer: azureml:cpu\njobs:\n"
        f"  one: {{command: date, {ENVIRONMENT.strip()}}}\n"
    )
    ran = mlops("check")
    assert ran.status == 0
    assert "Warning: pipeline.yml:3: settings.default_computer: There is no such field" in ran.err
    assert "1 file checked: no mistake found." in ran.err
    validated = mlops("job", "validate", "-f", "pipeline.yml")
    assert validated.status == 0
    assert "settings.default_computer: There is no such field" in validated.out + validated.err
