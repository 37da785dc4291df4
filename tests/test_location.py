"""A project as a Dagster code location: what loads, how lean, and how a mistake is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import dagster as dg
import pytest
import yaml

from mlops_dagster import load_project
from mlops_dagster.errors import InvalidDocument

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "projects" / "flight_delays"
BIN = Path(sys.executable).parent
HEAVY = ("azure", "mlflow", "numpy", "pandas", "pandera", "pyarrow", "sklearn")


def run(*command: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "DAGSTER_HOME": str(home), "COLUMNS": "200"}
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_a_location_loads_without_the_heavy_libraries() -> None:
    program = f"""
        import json, sys
        from mlops_dagster import load_project
        load_project({str(SAMPLE / "definitions.py")!r}).get_repository_def()
        found = {{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r})
        print(json.dumps(sorted(found)))
        """
    answer = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == []


def test_the_package_alone_imports_no_dagster() -> None:
    program = "import sys, mlops_dagster, mlops_dagster.project; print('dagster' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_workspace_yaml_and_dg_name_the_same_projects() -> None:
    entries = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["workspace"]
    by_dagster = {
        (str(Path(entry["relative_path"]).parent), entry["location_name"])
        for entry in (each["python_file"] for each in entries)
    }
    by_dg = set()
    for project in listed["projects"]:
        config = tomllib.loads((ROOT / project["path"] / "dg.toml").read_text())["project"]
        by_dg.add((project["path"], config["code_location_name"]))

    assert by_dagster == by_dg


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (ROOT, ("dagster", "definitions", "validate")),
        (SAMPLE, ("dagster", "definitions", "validate", "-f", "definitions.py")),
        (ROOT, ("dg", "check", "defs")),
        (SAMPLE, ("dg", "check", "defs")),
    ],
)
def test_the_sample_is_valid_to_dagster_and_dg(
    tmp_path: Path, folder: Path, command: tuple[str, ...]
) -> None:
    answer = run(*command, cwd=folder, home=tmp_path / "dagster")

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.slow
def test_dg_lists_the_sample_from_its_folder(tmp_path: Path) -> None:
    answer = run("dg", "list", "defs", "--json", cwd=SAMPLE, home=tmp_path / "dagster")

    listed = json.loads(answer.stdout)
    keys = {asset["asset_key"] for asset in listed["assets"]}
    assert {"flight_delays/flights", "flight_delays/train/evaluate"} <= keys
    assert "flight_delays/models/flight-delays" in keys
    assert {"train", "score"} <= {job["name"] for job in listed["jobs"]}


def test_the_sample_reads_from_raw_data_to_scores() -> None:
    graph = load_project(SAMPLE / "definitions.py").resolve_asset_graph()

    tables = ("scores", "quarantine")
    behind = {dg.AssetKey(["flight_delays", "landing", table]) for table in tables}
    behind.add(dg.AssetKey(["flight_delays", "scores"]))
    while more := {key for each in behind for key in graph.get(each).parent_keys} - behind:
        behind |= more

    assert behind == set(graph.get_all_asset_keys())
    for key in behind:
        node = graph.get(key)
        assert key.path[0] == "flight_delays"
        assert node.owners
        assert node.kinds
        assert node.group_name != "default"


@pytest.mark.slow
def test_a_mistake_is_shown_by_dagster_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "definitions.py").write_text((SAMPLE / "definitions.py").read_text())
    (tmp_path / "project.yaml").write_text("name: p\npiplines: {}\n")

    answer = run(
        "dagster", "definitions", "validate", "-f", "definitions.py",
        cwd=tmp_path, home=tmp_path / "dagster",
    )  # fmt: skip

    shown = answer.stdout + answer.stderr
    assert answer.returncode == 1
    assert (
        "project.yaml:2: piplines: There is no such field.\n    Did you mean 'pipelines'?" in shown
    )
    assert "pydantic" not in shown


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match=r"it has no project\.yaml"):
        load_project(tmp_path / "definitions.py")


def test_two_projects_live_side_by_side(tmp_path: Path) -> None:
    keys: set[dg.AssetKey] = set()
    groups: set[str | None] = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "rows.yml").write_text("name: rows\ntype: uri_file\npath: rows.csv\n")
        (folder / "rows.csv").write_text("a\n1\n")
        (folder / "project.yaml").write_text(
            f"name: {name}\ndata_products: {{rows: {{data: rows.yml}}}}\n"
        )
        graph = load_project(folder / "definitions.py").resolve_asset_graph()
        keys |= set(graph.get_all_asset_keys())
        groups |= {graph.get(key).group_name for key in graph.get_all_asset_keys()}

    assert {key.to_user_string() for key in keys} == {"one/rows", "two/rows"}
    assert groups == {"one/data_products", "two/data_products"}


def test_every_job_has_a_description(tmp_path: Path) -> None:
    repository = load_project(SAMPLE / "definitions.py").get_repository_def()
    named = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    assert {job.name for job in named} >= {"train", "score", "retrain", "landing_acknowledge"}
    assert [job.name for job in named if not job.description] == []


def test_a_schedule_asks_for_the_newest_window_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text(
        "type: pipeline\njobs:\n  a:\n    type: command\n    command: echo\n"
        "    environment: azureml:any@latest\n"
    )
    (tmp_path / "project.yaml").write_text(
        dedent("""\
        name: p
        pipelines: {p: {file: p.yml, partitions: {every: month, first: 2013-09}}}
        jobs: {monthly: {pipelines: [p], cron: 0 6 2 * *}}
        """)
    )
    repository = load_project(tmp_path / "definitions.py").get_repository_def()
    schedule = repository.get_schedule_def("monthly_schedule")

    def requested_partitions(day: str) -> list[str | None]:
        when = dg.build_schedule_context(
            scheduled_execution_time=datetime.fromisoformat(day).replace(tzinfo=UTC),
            repository_def=repository,
        )
        return [each.partition_key for each in schedule.evaluate_tick(when).run_requests or []]

    assert requested_partitions("2013-09-02") == []
    assert requested_partitions("2013-11-02") == ["2013-10"]
