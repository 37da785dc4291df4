"""A workspace whose MLflow server serves a whole module, and sweeps written as YAML."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from mlops_dagster.aml import load_job
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord
from tests.workspace.conftest import nothing_is_left_of

# Logs a metric as MLflow's client does, without the seconds that importing it takes.
TRIAL = """
import json, os, sys, time, urllib.request

def log(key, value):
    message = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": key, "value": value,
               "timestamp": int(time.time() * 1000), "step": 0}
    address = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric"
    request = urllib.request.Request(
        address, json.dumps(message).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).read()
"""

Submit = Callable[..., JobRecord]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweeps") / ".mlops"


@pytest.fixture(scope="module")
def project(home: Path) -> Iterator[LocalWorkspace]:
    """A workspace with the compute targets ``pair``, of two nodes, and ``four``."""
    folder = home.parent / ".cloud/local/compute"
    folder.mkdir(parents=True)
    for name, nodes in (("pair", 2), ("four", 4)):
        (folder / f"{name}.yml").write_text(
            f"name: {name}\ntype: amlcompute\nsize: Standard_DS3_v2\nmax_instances: {nodes}\n"
        )
    opened = LocalWorkspace(home, folder.parent)
    yield opened
    opened.close()
    nothing_is_left_of(home)


@pytest.fixture
def submit(project: LocalWorkspace, tmp_path: Path) -> Submit:
    """Writes a sweep's YAML, lets Azure ML's own loader look at it, and submits it.

    The text of ``trial`` becomes ``src/trial.py``, behind a function ``log(metric, value)``.
    """

    def submit(text: str, trial: str = "", *, name: str | None = None) -> JobRecord:
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src/trial.py").write_text(TRIAL + dedent(trial))
        file = tmp_path / "job.yml"
        file.write_text(dedent(text))
        accepted_by_the_official_loader(file)
        return project.jobs.submit(load_job(file), name=name)

    return submit


def accepted_by_the_official_loader(file: Path) -> None:
    logging.getLogger("azure.ai.ml").setLevel(logging.CRITICAL)
    from azure.ai.ml import load_job as load_official

    loaded = load_official(file)
    assert loaded.type == yaml.safe_load(file.read_text())["type"]
    if hasattr(loaded, "_validate"):
        assert loaded._validate().error_messages == {}
