"""Lines of `az ml` work word for word, but for the `az`; those that cannot say why."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_dagster.cli import azure_only
from mlops_dagster.workspace import connect

from .conftest import Mlops, Result, program_path

PAGE = Path(__file__).parents[2] / "docs" / "az-ml.md"
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for line in block.splitlines()
]
FILES = {
    "project.yaml": "name: p\n",
    ".cloud/local/compute/cpu-cluster.yml": """\
        name: cpu-cluster
        type: amlcompute
        size: STANDARD_DS3_v2
        max_instances: 4
        """,
    "job.yml": """\
        type: command
        experiment_name: flights
        environment: {image: 'python:3.11'}
        compute: azureml:cpu-cluster
        command: echo rate ${{inputs.rate}} | tee ${{outputs.table}}
        inputs: {rate: 0.1}
        outputs: {table: {type: uri_file, name: numbers}}
        """,
    "pipeline.yml": """\
        type: pipeline
        settings: {default_compute: azureml:cpu-cluster}
        jobs:
          first:
            type: command
            display_name: first
            environment: {image: 'python:3.11'}
            command: mkdir -p ${{outputs.model}} && echo weights > ${{outputs.model}}/w.txt
            outputs: {model: {type: custom_model, name: my-model}}
        """,
    "data.yml": """\
        name: described
        type: uri_file
        path: ./job.yml
        """,
    "schedule.yml": """\
        name: nightly
        trigger: {type: cron, expression: '0 3 * * *'}
        create_job: ./job.yml
        """,
}
# What a line prints, beyond that it ends with 0: each was worked out from the files above.
PRINTED = {
    "--query experiment_name": "flights\n",
    "--query inputs.rate": "0.05\n",
    '--query "{Name:name,Jobstatus:status}"': "Name     Jobstatus\ntrain-1  Completed\n",
    "--archived-only": "train-2\n",
    "-l latest --query type": "custom_model\n",
    "| [0].status": "Completed\n",
    "compute list --query": "Name\ncpu-cluster\n",
    "schedule list --query": "Name\nnightly\n",
    "model list --query": "Name\nfrom-job\nmy-model\n",
    "--query tags.stage": "dev\n",
    "--query description": "shown\n",
    "-o none": "",
}


@pytest.fixture
def project(here: Path) -> Iterator[Path]:
    """A project with the files that the lines name."""
    for name, content in FILES.items():
        file = here / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub(r"^ {8}", "", content, flags=re.MULTILINE), encoding="utf-8")
    yield here
    workspace = connect("local")
    for record in workspace.jobs.list():
        workspace.jobs.wait(record.name, timeout=60)
    workspace.close()
    subprocess.run([program_path(), "stop"], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_lines_of_the_page_work_as_they_stand(project: Path) -> None:
    assert len(LINES) >= 30
    ran = {line: _run(line) for line in LINES}
    failed = {line: f"{each.status}: {each.err}" for line, each in ran.items() if each.status}
    assert failed == {}
    for part, printed in PRINTED.items():
        (line,) = [line for line in LINES if part in line]
        assert ran[line].out == printed, line
    downloaded = [path.read_text() for path in (project / "train-1").rglob("*") if path.is_file()]
    assert "rate 0.05\n" in downloaded
    assert list((project / "results").rglob("w.txt"))
    assert list((project / "local_path").rglob("w.txt"))
    assert "experiment_name: flights" in (project / "train-2.yml").read_text()


@pytest.mark.parametrize("path", sorted(azure_only.COMMANDS))
def test_a_command_that_only_azure_has_is_refused_with_a_reason(mlops: Mlops, path: str) -> None:
    ran = mlops(*path.split(), "--name", "x")
    assert (ran.status, ran.out) == (2, "")
    assert azure_only.COMMANDS[path] in ran.err
    word = path.rsplit(maxsplit=1)[-1]
    assert f"`{word}`" in PAGE.read_text("utf-8") or f"`{path}`" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("option", sorted(azure_only.OPTIONS))
def test_an_option_that_only_azure_has_is_refused_with_a_reason(mlops: Mlops, option: str) -> None:
    ran = mlops("model", "list", option, "x")
    assert (ran.status, ran.out) == (2, "")
    assert azure_only.OPTIONS[option] in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["job", "show"], "Which job? Its name is missing."),
        (["job", "show", "a", "-n", "b"], "is named twice"),
        (["job", "create"], "Its YAML file is missing"),
        (["job", "create", "a.yml", "-f", "b.yml"], "named twice"),
    ],
    ids=" ".join,
)
def test_what_is_missing_or_given_twice_is_said(
    mlops: Mlops, arguments: list[str], said: str
) -> None:
    ran = mlops(*arguments)
    assert ran.status == 2
    assert said in ran.err


def test_what_says_where_a_workspace_lies_has_no_effect_and_that_is_noted(mlops: Mlops) -> None:
    ran = mlops("job", "list", "-g", "group", "-w", "workspace", "-o", "json")
    assert (ran.status, json.loads(ran.out)) == (0, [])
    assert "have no effect: the workspace is 'local'" in ran.err


def test_the_form_is_chosen_for_every_call_as_in_az(
    mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CORE_OUTPUT", "json")
    assert mlops("job", "list").out == "[]\n"
    assert mlops("job", "list", "-o", "yaml").out == "[]\n"
    monkeypatch.setenv("AZURE_CORE_OUTPUT", "xml")
    assert mlops("job", "list").status == 2


def _run(line: str) -> Result:
    az, ml, *words = shlex.split(line)
    assert (az, ml) == ("az", "ml")
    ran = subprocess.run(
        [program_path(), *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return Result(ran.returncode, ran.stdout, ran.stderr)
