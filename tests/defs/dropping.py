"""A project whose pipeline doubles numbers, a landing to drop files into, and a real daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from mlops_dagster.cli.dagster.instance import SETTINGS
from mlops_dagster.landing import BatchState, Landing, Status, status
from mlops_dagster.landing.declaration import declared_landing
from mlops_dagster.project import read_project

PROJECT = """\
name: dropping
owners: [team:numbers]
pipelines:
  score: {file: pipelines/score.yml}
landing:
  pipeline: score
  source: {folder: drops}
  settle: 0 seconds
  batch: {files: 5, age: 1 second}
  interval: 1 second
  fresh_within: 1 hour
"""

SCORE = """\
type: pipeline
settings: {default_compute: azureml:cpu}
inputs:
  drops: {type: uri_folder, path: ../nothing}
  control: CONTROL
outputs:
  scores: {type: uri_folder}
  rejected: {type: uri_folder}
jobs:
  score:
    type: command
    code: ../code
    environment: azureml:any@latest
    command: >-
      python double.py ${{inputs.drops}} ${{outputs.scores}} ${{outputs.rejected}}
      ${{inputs.control}}
    inputs: {drops: "${{parent.inputs.drops}}", control: "${{parent.inputs.control}}"}
    outputs:
      scores: ${{parent.outputs.scores}}
      rejected: ${{parent.outputs.rejected}}
"""

# Fails while `fail` is there; a value that is no number is rejected.
DOUBLE = '''\
"""Double the value of every row."""
import csv, pathlib, sys
import pyarrow as pa
from pyarrow import parquet

drops, scores, rejected, control = map(pathlib.Path, sys.argv[1:])
if (control / "fail").exists():
    sys.exit("no luck today")
for file in sorted(drops.iterdir()):
    good, bad = [], []
    with file.open(newline="") as lines:
        for place, row in enumerate(csv.DictReader(lines)):
            try:
                good.append({"key": row["key"], "score": 2 * float(row["value"])})
            except ValueError:
                bad.append({"row": place, "reason": "not a number", "key": row["key"]})
    for folder, rows in ((scores, good), (rejected, bad)):
        if rows:
            parquet.write_table(pa.Table.from_pylist(rows), folder / f"{file.name}.parquet")
'''

CLUSTER = "type: amlcompute\nname: cpu\nsize: Standard_DS2_v2\nmin_instances: 0\nmax_instances: 2\n"
DEFINITIONS = "from mlops_dagster import load_project\n\ndefs = load_project(__file__)\n"


@dataclass(frozen=True)
class Dropping:
    """The project, and the folders around it."""

    folder: Path
    home: Path
    dagster_home: Path
    control: Path

    @classmethod
    def make(
        cls, root: Path, home: Path, *, project: str = PROJECT, files: dict[str, str] | None = None
    ) -> Dropping:
        made = cls(root / "dropping", home, root / "dagster", root / "control")
        for folder in (made.dagster_home, made.control, home / "drops"):
            folder.mkdir(parents=True, exist_ok=True)
        given = {
            "project.yaml": project,
            "pipelines/score.yml": SCORE,
            "code/double.py": DOUBLE,
            ".cloud/local/compute/cpu.yml": CLUSTER,
            "definitions.py": DEFINITIONS,
            "nothing/.keep": "",
            **(files or {}),
        }
        for name, text in given.items():
            file = made.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("CONTROL", str(made.control)), encoding="utf-8")
        (made.dagster_home / "dagster.yaml").write_text(SETTINGS, encoding="utf-8")
        return made

    @property
    def landing(self) -> Landing:
        return declared_landing(read_project(self.folder), home=self.home)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DAGSTER_HOME": str(self.dagster_home),
            "MLOPS_HOME": str(self.home),
        }

    def drop(self, name: str, values: Sequence[object]) -> Path:
        """Drop a CSV file; each key is the file's name and the row's place."""
        lines = [f"{name}:{place},{value}" for place, value in enumerate(values)]
        return self.drop_text(name, "\n".join(["key,value", *lines, ""]))

    def drop_text(self, name: str, text: str) -> Path:
        path = self.home / "drops" / name
        unfinished = path.with_name(f".{uuid.uuid4().hex}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
        return path

    def status(self) -> Status:
        return status(self.landing)

    def is_done(self, drops: int) -> bool:
        """Whether so many drops have been seen, and none of their batches is open."""
        found = self.status()
        still = any(found.batches.get(state, 0) for state in BatchState if state.is_open)
        return sum(found.drops.values()) == drops and not still and found.oldest is None

    def keys(self) -> Counter[str]:
        """How often each row is in the table of scores."""
        return Counter(row["key"] for row in self.rows("scores"))

    def rows(self, table: str) -> list[dict[str, Any]]:
        tables = self.landing.tables
        found = tables.open(getattr(tables, table))
        return found.to_pyarrow_table().to_pylist() if found is not None else []


@contextmanager
def daemon(place: Dropping) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's own daemon over the project, with all its children."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run"]
    command += ["-f", str(place.folder / "definitions.py"), "-d", str(place.folder)]
    with (place.dagster_home / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=place.dagster_home,
            env=place.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a daemon, its code servers and their run workers."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)
