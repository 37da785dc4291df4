"""`mlops demo` on a tiny project: real runs in a real Dagster instance."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from mlops_dagster.cli.dagster.instance import find_place
from mlops_dagster.cli.demo.command import PlannedRun, planned_runs
from mlops_dagster.cli.demo.landing import score_example
from mlops_dagster.errors import InvalidRequest
from mlops_dagster.project import read_project
from tests.defs.dropping import PROJECT, Dropping
from tests.workspace.conftest import at_rest

from .conftest import Mlops, program_path

FILES = {
    "../workspace.yaml": """\
        load_from:
          - python_file: {relative_path: broken/definitions.py, location_name: broken}
          - python_file: {relative_path: tiny/definitions.py, location_name: tiny}
        """,
    "../broken/definitions.py": "raise ValueError('another project is broken')\n",
    "definitions.py": """\
        from mlops_dagster import load_project

        defs = load_project(__file__)
        """,
    "project.yaml": """\
        name: tiny
        data_products:
          numbers: {}
        pipelines:
          score:
            file: pipelines/score.yml
            partitions: {every: month, first: 2024-01, last: 2024-02}
          train: {file: pipelines/train.yml}
          ingest: {file: pipelines/ingest.yml}
        models:
          tiny-model: {metric: auc, at_least: 0.5}
        jobs:
          retrain: {pipelines: [train, ingest]}
        """,
    "pipelines/ingest.yml": """\
        type: pipeline
        jobs:
          count:
            type: command
            environment: {image: 'python:3.11'}
            command: seq 5 > ${{outputs.numbers}}; cat ingested 2>/dev/null; true
            outputs:
              numbers: {type: uri_file, name: numbers}
        """,
    "pipelines/train.yml": """\
        type: pipeline
        inputs:
          numbers: {type: uri_file, path: azureml:numbers@latest}
        jobs:
          fit:
            type: command
            environment: {image: 'python:3.11'}
            command: >-
              python -c "import mlflow; mlflow.log_metric('auc', 0.75)" &&
              cp ${{inputs.numbers}} ${{outputs.model}}
            inputs:
              numbers: ${{parent.inputs.numbers}}
            outputs:
              model: {type: custom_model, name: tiny-model}
        """,
    "pipelines/score.yml": """\
        type: pipeline
        inputs:
          model: {type: custom_model, path: azureml:tiny-model@latest}
        jobs:
          predict:
            type: command
            environment: {image: 'python:3.11'}
            command: ls -R ${{inputs.model}} > ${{outputs.scores}}
            inputs:
              model: ${{parent.inputs.model}}
            outputs:
              scores: {type: uri_file}
        """,
}


@pytest.fixture
def tiny(here: Path) -> Path:
    """A project of three pipelines; the current directory is the root around it."""
    project = here / "tiny"
    for name, content in FILES.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(content), encoding="utf-8")
    return project


@pytest.fixture
def stopped_services(program: Mlops) -> Iterator[None]:
    yield
    assert program("stop").status == 0


def test_pipelines_run_in_the_order_in_which_they_feed_each_other(tiny: Path) -> None:
    assert planned_runs(read_project(tiny)) == [
        PlannedRun("retrain", False),
        PlannedRun("score", True),
    ]


def test_pipelines_that_no_job_runs_together_run_one_by_one(tiny: Path) -> None:
    file = tiny / "project.yaml"
    file.write_text(file.read_text().partition("jobs:")[0])
    planned = planned_runs(read_project(tiny))
    assert [each.job for each in planned] == ["ingest", "train", "score"]


def test_a_project_without_pipelines_has_nothing_to_show(tiny: Path) -> None:
    (tiny / "project.yaml").write_text("name: tiny\n")
    with pytest.raises(InvalidRequest, match="declares no pipeline"):
        planned_runs(read_project(tiny))


def test_a_folder_that_workspace_yaml_does_not_list_is_refused(program: Mlops, tiny: Path) -> None:
    (tiny.parent / "workspace.yaml").write_text("load_from: []\n")
    inner = tiny.parent / "projects" / "inner"
    inner.parent.mkdir()
    tiny.rename(inner)
    ran = program("demo", "--project", inner)
    assert ran.status == 2
    assert "lists no definitions below" in ran.err
    assert "python_file: {relative_path: projects/inner/definitions.py}" in ran.err


@pytest.mark.slow
@pytest.mark.timeout(480)
@pytest.mark.usefixtures("stopped_services")
def test_the_demo_ends_with_a_model_and_scores_and_reuses_them_the_next_time(
    program: Mlops, tiny: Path, mlops_home: Path
) -> None:
    first = program("demo", "--project", tiny, "--output", "json").json()
    assert [(run["job"], run["partition"]) for run in first["runs"]] == [
        ("retrain", None),
        ("score", "2024-01"),
    ]
    assert [job["step"] for job in first["jobs"]] == ["count", "fit", "predict"]
    assert [job["reused_from"] for job in first["jobs"]] == [None, None, None]
    model = first["models"][0]
    assert (model["name"], model["version"], model["figures"]) == ("tiny-model", "1", {"auc": 0.75})
    assert model["gate"]
    assert all(check["passed"] for check in model["gate"])
    assert Path(first["results"][-1]["path"]).is_file()

    second = program("demo", "--project", tiny)
    assert second.status == 0, second.err
    assert "retrain" in second.out
    assert "3 of 3 steps had not changed and were reused" in second.out
    assert "Model tiny-model is at version 1." in second.out
    assert "auc 0.75" in second.out
    assert "make ui" in second.err
    assert _runs_in(mlops_home / "dagster", tiny.parent) == ["retrain", "retrain", "score", "score"]


@pytest.mark.slow
def test_a_failed_step_ends_the_demo_with_the_end_of_its_log(program: Mlops, tiny: Path) -> None:
    file = tiny / "pipelines" / "ingest.yml"
    file.write_text(file.read_text().replace("seq 5", "echo no such table; exit 3; seq 5"))
    ran = program("demo", "--project", tiny)
    assert ran.status == 1
    assert "retrain failed" in ran.err
    assert "no such table" in ran.err
    assert "Traceback" not in ran.err
    assert "score" not in ran.out


@pytest.mark.slow
def test_ctrl_c_ends_the_run_and_its_job(program: Mlops, tiny: Path, here: Path) -> None:
    file = tiny / "pipelines" / "ingest.yml"
    file.write_text(file.read_text().replace("seq 5", f"touch {here}/started; sleep 600; seq 5"))
    process = subprocess.Popen(
        [program_path(), "demo", "--project", tiny],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not (here / "started").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    # As a terminal does it: to every process of the foreground group.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 130, said
    assert "It has ended" in said
    jobs = program("job", "list", "-o", "json").json()
    assert [job["status"] for job in jobs] == ["Canceled"]


@pytest.fixture
def dropping(here: Path, mlops_home: Path) -> Dropping:
    """A project with a landing, in a storage account in the workspace dev, and example files."""
    text = PROJECT + "  example: code/example.py\n"
    files = {
        "../workspace.yaml": "load_from: [{python_file: dropping/definitions.py}]\n",
        "code/example.py": EXAMPLE,
        ".cloud/dev/landing.yml": DEV,
    }
    return Dropping.make(here, mlops_home, project=text, files=files)


EXAMPLE = """\
import pathlib, sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, rows in {"a b.csv": "1,2\\n2,x\\n", "c.csv": "3,4\\n", "empty.csv": ""}.items():
    if not (folder / name).exists():
        (folder / name).write_text(rows and f"key,value\\n{rows}")
"""
DEV = """\
source: {container: drops, account: numbers, queue: landed}
tables:
  scores: abfss://scored@numbers.dfs.core.windows.net/scores
  quarantine: abfss://scored@numbers.dfs.core.windows.net/quarantine
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("azurite", "stopped_services")
def test_files_land_in_an_emulated_storage_account(
    program: Mlops, dropping: Dropping, mlops_home: Path
) -> None:
    call = ("demo", "--project", dropping.folder, "--azurite", "dev", "--output", "json")
    landed = program(*call).json()["landing"]
    assert (landed["new"], landed["drops"]) == (3, {"scored": 2, "quarantined": 1})
    assert (landed["rows"], landed["scored"], landed["quarantined"]) == (3, 2, 1)
    assert landed["differences"] == 0
    again = program(*call).json()["landing"]
    assert {**again, "seconds": 0} == {**landed, "seconds": 0, "new": 0}
    # The landing on this machine has a ledger of its own, and nothing of it.
    project = ("--project", dropping.folder, "-o", "json")
    assert program("landing", "status", *project).json()["drops"] == {}
    dev = program("--workspace", "dev", "landing", "status", *project).json()
    assert dev["source"] == "queue:https://numbers.queue.core.windows.net/landed"
    assert dev["drops"] == landed["drops"]
    logs = [*at_rest(mlops_home).rglob("*.log"), *dropping.dagster_home.rglob("*.log")]
    assert not [log for log in logs if "AccountKey=" in log.read_text(errors="replace")]


def test_nothing_is_dropped_into_a_storage_account_that_is_not_emulated(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_LANDING", "dev")
    assert score_example(find_place(dropping.folder), read_project(dropping.folder)) is None


@pytest.mark.parametrize(
    ("workspace", "said"),
    [("local", "land in a folder"), ("nope", "Known here: dev, local")],
)
def test_a_workspace_without_a_storage_account_is_refused(
    program: Mlops, dropping: Dropping, workspace: str, said: str
) -> None:
    ran = program("demo", "--project", dropping.folder, "--azurite", workspace)
    assert ran.status == 2
    assert said in ran.err


def _runs_in(dagster_home: Path, root: Path) -> list[str]:
    """The jobs of the runs that Dagster's own command line finds, for the location of the UI."""
    code = (
        "from dagster import DagsterInstance\n"
        "with DagsterInstance.get() as instance:\n"
        "    for run in instance.get_runs():\n"
        "        origin = run.remote_job_origin.repository_origin.code_location_origin\n"
        "        assert origin.location_name == 'tiny'\n"
        "        print(run.job_name)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "DAGSTER_HOME": str(dagster_home)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(ran.stdout.split())
