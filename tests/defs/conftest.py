"""A tiny project of shell commands, and a real Dagster instance to run it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from mlops_dagster import connect, load_project
from mlops_dagster.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROJECT = """\
name: tiny
owners: [team:numbers]
data_products:
  numbers:
    schema: schemas/numbers.yml
    rows: {at_least: 2}
    nulls: {value: 0.4}
pipelines:
  ingest: {file: pipelines/ingest.yml}
  train: {file: pipelines/train.yml}
"""

SCHEMA = """\
schema_type: dataframe
columns:
  id: {dtype: int64, unique: true, description: Who.}
  value:
    dtype: float64
    nullable: true
    checks: {in_range: {min_value: 0, max_value: 1}}
"""

INGEST = """\
type: pipeline
settings: {default_compute: azureml:cpu}
outputs:
  numbers: {type: uri_folder, name: numbers}
jobs:
  write:
    type: command
    environment: azureml:any@latest
    command: |
      echo writing numbers
      cp ${{inputs.rows}} ${{outputs.numbers}}/numbers.csv
    inputs:
      rows: {type: uri_file, path: ../rows.csv}
    outputs:
      numbers: ${{parent.outputs.numbers}}
"""

# Each start of `fit` leaves a line in the witness; with `hold` set it goes on until `go` is there.
TRAIN = """\
type: pipeline
settings: {default_compute: azureml:cpu}
inputs:
  numbers: {type: uri_folder, path: azureml:numbers@latest}
  control: CONTROL
outputs:
  fitted: {type: uri_file}
jobs:
  fit:
    type: command
    environment: azureml:any@latest
    command: |
      echo $$ >> ${{inputs.control}}/witness
      echo fitting
      while [ -e ${{inputs.control}}/hold ]; do sleep 0.05; done
      if [ -e ${{inputs.control}}/fail ]; then echo no luck today >&2; exit 3; fi
      wc -l < ${{inputs.numbers}}/numbers.csv > ${{outputs.fitted}}
    inputs:
      numbers: ${{parent.inputs.numbers}}
      control: ${{parent.inputs.control}}
    outputs:
      fitted: ${{parent.outputs.fitted}}
  report:
    type: command
    environment: azureml:any@latest
    command: |
      echo the count is $(cat ${{inputs.fitted}})
      cp ${{inputs.fitted}} ${{outputs.report}}/report.txt
    inputs:
      fitted: ${{parent.jobs.fit.outputs.fitted}}
    outputs:
      report: {type: uri_folder}
"""

# Runs start at once: there is no daemon that would take them from a queue. Nothing outlives a test.
INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
code_servers: {wait_for_local_processes_on_shutdown: true}
"""

CLUSTER = "type: amlcompute\nname: cpu\nsize: Standard_DS2_v2\nmin_instances: 0\nmax_instances: 2\n"


@dataclass(frozen=True)
class Tiny:
    """The project, the workspace that its jobs run in, and the instance that records its runs."""

    folder: Path
    control: Path
    instance: dg.DagsterInstance
    workspace: Workspace

    @property
    def definitions_file(self) -> Path:
        return self.folder / "definitions.py"

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def add(self, name: str, text: str) -> None:
        """Append to a file."""
        self.write(name, (self.folder / name).read_text(encoding="utf-8") + dedent(text))

    def definitions(self) -> dg.Definitions:
        return load_project(self.definitions_file)

    def materialize(
        self, *keys: str, partition: str | None = None, tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets (``train/fit``, without the project's name) in one run."""
        job = self.definitions().resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[self.key(key) for key in keys],
            partition_key=partition,
            tags=dict(tags or {}),
            raise_on_error=False,
        )

    def key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey(["tiny", *name.split("/")])

    def newest(self, name: str) -> Mapping[str, Any]:
        """The metadata values of an asset's newest materialization."""
        event = self.instance.get_latest_materialization_event(self.key(name))
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        return {label: value.value for label, value in metadata.items()}

    def starts(self) -> list[int]:
        """The process that every start of ``fit`` had."""
        witness = self.control / "witness"
        return [int(line) for line in witness.read_text().split()] if witness.exists() else []


@pytest.fixture
def tiny(tmp_path: Path, mlops_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    """The tiny project, whole, with nothing materialized."""
    folder, control, home = (tmp_path / name for name in ("tiny", "control", "dagster"))
    for each in (folder, control, home):
        each.mkdir()
    (home / "dagster.yaml").write_text(INSTANCE, encoding="utf-8")
    (folder / "project.yaml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        workspace = connect(project=folder)
        project = Tiny(folder, control, instance, workspace)
        project.write("schemas/numbers.yml", SCHEMA)
        project.write("pipelines/ingest.yml", INGEST)
        project.write("pipelines/train.yml", TRAIN.replace("CONTROL", str(control)))
        project.write("rows.csv", "id,value\n1,0.5\n2,0.25\n3,1.0\n")
        project.write(".cloud/local/compute/cpu.yml", CLUSTER)
        project.write(
            "definitions.py",
            "from mlops_dagster import load_project\n\ndefs = load_project(__file__)\n",
        )
        try:
            yield project
        finally:
            _end_jobs(workspace)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of this machine's Chromium, headless."""
    from scripts.browser import browser_page, chromium

    program = chromium()
    if program is None:
        pytest.skip("no Chromium here; on Debian and Ubuntu: apt-get install chromium")
    with browser_page(program) as opened:
        yield opened


def _end_jobs(workspace: Workspace) -> None:
    """Leave no process behind, whatever a test left running."""
    for job in workspace.jobs.list():
        if not job.status.is_terminal:
            workspace.jobs.cancel(job.name)
            workspace.jobs.wait(job.name, timeout=20)
    workspace.stop_services()
    workspace.close()


def log_lines(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> list[str]:
    """What a run's event log shows as messages of its steps."""
    return [entry.user_message for entry in instance.all_logs(result.run_id)]
