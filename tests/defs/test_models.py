"""Registered models, the gate, and the champion that scoring takes."""

from __future__ import annotations

import dagster as dg
import pytest

from tests.defs.conftest import Tiny
from tests.defs.test_products import evaluations, metadata_value

TRAIN = """\
type: pipeline
settings: {default_compute: azureml:cpu}
outputs:
  model: {type: custom_model, name: half}
jobs:
  fit:
    type: command
    environment: azureml:any@latest
    command: |
      python -c "import mlflow; mlflow.log_metric('auc', AUC); mlflow.log_param('depth', 3)"
      echo AUC > ${{outputs.weights}}/weights.txt
    outputs:
      weights: {type: uri_folder}
  register:
    type: command
    environment: azureml:any@latest
    command: |
      cp ${{inputs.weights}}/weights.txt ${{outputs.model}}/
      echo "# Half" > ${{outputs.model}}/model_card.md
    inputs:
      weights: ${{parent.jobs.fit.outputs.weights}}
    outputs:
      model: ${{parent.outputs.model}}
"""

SCORE = """\
type: pipeline
settings: {default_compute: azureml:cpu}
inputs:
  model: {type: custom_model, path: azureml:half@latest}
  month: none
outputs:
  scores: {type: uri_folder}
jobs:
  score:
    type: command
    environment: azureml:any@latest
    command: |
      echo month,weights > ${{outputs.scores}}/scores.csv
      echo ${{inputs.month}},$(cat ${{inputs.model}}/weights.txt) >> ${{outputs.scores}}/scores.csv
    inputs:
      model: ${{parent.inputs.model}}
      month: ${{parent.inputs.month}}
    outputs:
      scores: ${{parent.outputs.scores}}
"""

PROJECT = """\
name: tiny
data_products:
  scores: {from: score.scores, rows: {at_least: 1}}
pipelines:
  train: {file: pipelines/train.yml}
  score:
    file: pipelines/score.yml
    partitions: {every: month, first: 2013-09, last: 2013-10}
    inputs: {month: {value: "%Y-%m"}}
models:
  half: {metric: auc, at_least: 0.6, tolerance: 0.01}
"""

MAKE_MODEL = ("train/fit", "train/register", "models/half")


@pytest.fixture
def scoring(tiny: Tiny) -> Tiny:
    tiny.write("project.yaml", PROJECT)
    tiny.write("pipelines/train.yml", TRAIN)
    tiny.write("pipelines/score.yml", SCORE)
    return tiny


def train(project: Tiny, auc: float) -> None:
    project.write("pipelines/train.yml", TRAIN.replace("AUC", str(auc)))


@pytest.mark.slow
def test_the_gate_judges_the_job_s_own_run_and_shows_nested_ones_apart(scoring: Tiny) -> None:
    script = """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("auc", 0.3)
    with mlflow.start_run(run_name="fold", nested=True):
        mlflow.log_metric("auc", 0.99)
"""
    scoring.write("pipelines/src/fit.py", script)
    inline = """python -c "import mlflow; mlflow.log_metric('auc', AUC); mlflow.log_param('depth', 3)\""""
    text = TRAIN.replace(inline, "python fit.py").replace("echo AUC", "echo 0.3")
    scoring.write("pipelines/train.yml", text.replace("fit:\n", "fit:\n    code: ./src\n", 1))
    ran = scoring.materialize(*MAKE_MODEL)
    gate = evaluations(ran)["quality_gate"]
    assert not gate.passed
    assert "0.3" in str(gate.metadata["rules"].value)
    fit = ran.asset_materializations_for_node("tiny__train__fit")[0].metadata
    assert fit["auc"].value == 0.3
    others = fit["other runs"]
    assert isinstance(others, dg.TableMetadataValue)
    assert [record.data for record in others.records] == [
        {"run": "fold", "metric": "auc", "value": 0.99}
    ]


@pytest.mark.slow
def test_the_gate_keeps_the_champion_and_scoring_takes_it(scoring: Tiny) -> None:
    train(scoring, 0.7)
    first = scoring.materialize(*MAKE_MODEL)
    assert first.success
    gate = evaluations(first)["quality_gate"]
    assert metadata_value(gate, "champion") == "azureml:half:1"
    assert metadata_value(gate, "auc") == 0.7
    assert metadata_value(gate, "bound") == 0.6
    model = scoring.newest("models/half")
    assert list(model)[:4] == ["champion", "version", "gate", "model card"]
    assert (model["champion"], model["model card"]) == ("azureml:half:1", "# Half\n")
    assert list(model)[-3:] == ["auc", "outputs", "lineage"]
    assert (model["auc"], model["version"]) == (0.7, "azureml:half:1")
    assert scoring.newest("train/fit")["auc"] == 0.7
    assert scoring.workspace.models.get("half", "1").job == model["lineage"][-1]["job"]

    train(scoring, 0.65)
    second = scoring.materialize(*MAKE_MODEL)
    assert not second.success
    gate = evaluations(second)["quality_gate"]
    assert not gate.passed
    assert metadata_value(gate, "champion") == "azureml:half:1"
    assert scoring.newest("models/half")["version"] == "azureml:half:2"

    assert scoring.materialize("score/score", "scores", partition="2013-10").success
    assert "| 2013-10 | 0.7 |" in scoring.newest("scores")["preview"]

    train(scoring, 0.695)
    third = scoring.materialize(*MAKE_MODEL)
    assert third.success
    assert metadata_value(evaluations(third)["quality_gate"], "champion") == "azureml:half:3"


def test_scoring_waits_for_a_champion(scoring: Tiny) -> None:
    result = scoring.materialize("score/score", partition="2013-09")

    (failure,) = result.get_step_failure_events()
    told = failure.step_failure_data.error_display_string
    assert "No version of 'half' has passed its gate yet" in told
