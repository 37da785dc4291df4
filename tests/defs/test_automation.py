"""``automation:`` of project.yaml, carried out by Dagster's own daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from tests.defs.conftest import Tiny
from tests.defs.deployment import wait_until
from tests.defs.dropping import end

pytestmark = pytest.mark.slow

PROJECT = """\
name: tiny
data_products:
  followed: {from: score.scores, automation: eager}
  filled: {from: make.made, automation: on_missing}
pipelines:
  score:
    file: pipelines/score.yml
    partitions: {every: month, first: 2013-09, last: 2013-12}
  make: {file: pipelines/make.yml, partitions: {every: month, first: 2013-09, last: 2013-10},
         automation: on_missing}
"""

PIPELINE = """\
type: pipeline
settings: {default_compute: azureml:cpu}
outputs:
  OUTPUT: {type: uri_folder}
jobs:
  STEP:
    type: command
    environment: azureml:any@latest
    command: echo id > ${{outputs.OUTPUT}}/rows.csv
    outputs: {OUTPUT: "${{parent.outputs.OUTPUT}}"}
"""


@pytest.fixture
def automated(tiny: Tiny) -> Tiny:
    tiny.write("project.yaml", PROJECT)
    for pipeline, output in (("score", "scores"), ("make", "made")):
        text = PIPELINE.replace("OUTPUT", output).replace("STEP", pipeline)
        tiny.write(f"pipelines/{pipeline}.yml", text)
    return tiny


@contextmanager
def daemon(tiny: Tiny) -> Iterator[None]:
    """Dagster's own daemon over the project."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run"]
    command += ["-f", str(tiny.definitions_file), "-d", str(tiny.folder)]
    with (tiny.control / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tiny.folder, env=os.environ, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            end(process)


def partitions(tiny: Tiny, name: str) -> set[str]:
    return set(tiny.instance.get_materialized_partitions(tiny.key(name)))


def test_a_product_follows_an_old_partition_and_what_is_missing_is_filled(automated: Tiny) -> None:
    with daemon(automated):
        # Nothing follows before the daemon has looked once; it fills what was missing then.
        wait_until(lambda: partitions(automated, "filled") == {"2013-09", "2013-10"}, seconds=170)
        assert partitions(automated, "followed") == set()
        assert automated.materialize("score/score", partition="2013-10").success
        wait_until(lambda: partitions(automated, "followed") == {"2013-10"}, seconds=170)
    runs = automated.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert runs == []


def test_the_sensor_that_carries_it_out_is_on(automated: Tiny) -> None:
    (sensor,) = automated.definitions().sensors or ()
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
