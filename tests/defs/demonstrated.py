"""A tiny project with a model and a landing, and what `mlops demo` leaves of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.browser import served_ui
from tests.defs.dropping import Dropping

PROJECT = """\
name: dropping
owners: [team:numbers]
data_products:
  numbers: {rows: {at_least: 2}}
pipelines:
  ingest: {file: pipelines/ingest.yml}
  train: {file: pipelines/train.yml}
  score: {file: pipelines/score.yml}
models:
  doubler: {metric: auc, at_least: 0.6}
landing:
  pipeline: score
  source: {folder: drops}
  settle: 0 seconds
  batch: {files: 1, age: 1 second}
  interval: 1 second
  fresh_within: 1 hour
  example: code/example.py
"""

INGEST = """\
type: pipeline
outputs:
  numbers: {type: uri_folder, name: numbers}
jobs:
  write:
    type: command
    environment: azureml:any@latest
    compute: azureml:cpu
    command: printf 'id,value\\n1,0.5\\n2,0.25\\n' > ${{outputs.numbers}}/numbers.csv
    outputs: {numbers: "${{parent.outputs.numbers}}"}
"""

TRAIN = """\
type: pipeline
settings: {default_compute: azureml:cpu}
inputs:
  numbers: {type: uri_folder, path: azureml:numbers@latest}
outputs:
  model: {type: custom_model, name: doubler}
jobs:
  evaluate:
    type: command
    code: ../code
    environment: azureml:any@latest
    command: python evaluate.py ${{inputs.numbers}} ${{outputs.evaluation}}
    inputs: {numbers: "${{parent.inputs.numbers}}"}
    outputs:
      evaluation: {type: uri_folder}
  register:
    type: command
    environment: azureml:any@latest
    command: |
      cp ${{inputs.evaluation}}/factor.txt ${{outputs.model}}/
      echo "Doubles every number." > ${{outputs.model}}/model_card.md
    inputs: {evaluation: "${{parent.jobs.evaluate.outputs.evaluation}}"}
    outputs: {model: "${{parent.outputs.model}}"}
"""

EVALUATE = """\
import base64, pathlib, sys
import mlflow

out = pathlib.Path(sys.argv[2])
(out / "factor.txt").write_text("2")
(out / "curve.png").write_bytes(base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
))
mlflow.log_artifact(str(out / "curve.png"))
mlflow.log_param("depth", 3)
mlflow.log_metric("accuracy", 0.8)
mlflow.log_metric("auc", 0.7)
"""

# A batch each: they overlap, and end in another order than they were planned in.
EXAMPLE = """\
import pathlib, sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
files = {"bad-row.csv": "1,2\\n2,x\\n", "good.csv": "3,4\\n", "good-too.csv": "5,6\\n", "empty.csv": ""}
for name, rows in files.items():
    if not (folder / name).exists():
        (folder / name).write_text(rows and f"key,value\\n{rows}")
"""

FILES = {
    "../workspace.yaml": (
        "load_from: [{python_file: "
        "{relative_path: dropping/definitions.py, location_name: dropping}}]\n"
    ),
    "pipelines/ingest.yml": INGEST,
    "pipelines/train.yml": TRAIN,
    "code/evaluate.py": EVALUATE,
    "code/example.py": EXAMPLE,
}


@contextmanager
def demonstrated_ui(root: Path) -> Iterator[str]:
    """The address of `mlops ui` after `mlops demo`, for as long as the context is open."""
    project = Dropping.make(root, root / ".mlops", project=PROJECT, files=FILES)
    environment = {**os.environ, "MLOPS_HOME": str(project.home)}
    mlops = Path(sys.executable).with_name("mlops")
    try:
        subprocess.run(
            [mlops, "demo", "--project", project.folder], cwd=root, env=environment, check=True
        )
        with served_ui(root, environment) as address:
            yield address
    finally:
        subprocess.run([mlops, "stop"], cwd=root, env=environment, check=True)
