from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.aml import load_job
from mlops_dagster.landing import BatchState, Rules, ScoringJob, differences, score_batch, tick
from mlops_dagster.workspace import connect
from tests.landing.place import AT_ONCE, SOON, Place, expected

PIPELINE = """
type: pipeline
settings: {default_compute: azureml:cpu}
inputs:
  drops: {type: uri_folder, path: .}
outputs:
  scores: {type: uri_folder}
  rejected: {type: uri_folder}
jobs:
  score:
    type: command
    code: code
    command: python score.py ${{inputs.drops}} ${{outputs.scores}} ${{outputs.rejected}}
    environment: {image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04}
    inputs:
      drops: ${{parent.inputs.drops}}
    outputs:
      scores: ${{parent.outputs.scores}}
      rejected: ${{parent.outputs.rejected}}
"""
SCRIPT = """
import sys, pandas as pd
from pathlib import Path
drops, scores, rejected = map(Path, sys.argv[1:])
for file in drops.iterdir():
    raw = pd.read_csv(file)
    pd.DataFrame({"key": raw["key"], "score": raw["value"]}).to_parquet(scores / f"{file.name}.parquet")
"""


@pytest.mark.slow
def test_a_batch_is_scored_by_a_pipeline_of_the_local_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    (tmp_path / "score.yml").write_text(PIPELINE)
    place = Place.make(tmp_path / "landing", rules=Rules(SOON))
    place.drop("a.csv", [1, 2, 3])
    (request,) = tick(place.landing).requests
    workspace = connect("local")
    try:
        outcome = score_batch(
            place.landing,
            request.batch.id,
            workspace=workspace,
            scoring=ScoringJob(load_job(tmp_path / "score.yml"), "azureml:m:1"),
        )
        assert (outcome.state, outcome.error) == (BatchState.DONE, None)
        assert workspace.jobs.get(outcome.job or "").tags["landing.batch"] == request.batch.id
    finally:
        workspace.close()
    assert sorted(place.keys()) == ["a.csv:0", "a.csv:1", "a.csv:2"]
    assert differences(place.landing) == []


HARMFUL = """
import os, signal, sys, time, pandas as pd
from pathlib import Path
drops, scores, rejected = map(Path, sys.argv[1:])
for file in drops.iterdir():
    raw = pd.read_csv(file)
    if "hangs" in raw["key"][0]:
        time.sleep(1000)
    if "crashes" in raw["key"][0]:
        os.kill(os.getpid(), signal.SIGSEGV)
    pd.DataFrame({"row": raw.index, "key": raw["key"]}).to_parquet(scores / f"{file.name}.parquet")
"""


@pytest.mark.slow
def test_drops_that_crash_and_hang_the_script_are_named_and_the_others_are_scored(
    tmp_path: Path,
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(HARMFUL)
    (tmp_path / "score.yml").write_text(PIPELINE)
    scoring = ScoringJob(load_job(tmp_path / "score.yml"), "azureml:m:1")
    rules = Rules(SOON, attempts=1, retry_delay=AT_ONCE, timeout=timedelta(seconds=10))
    place = Place.make(tmp_path / "landing", rules=rules)
    for name in ("a", "b", "hangs", "crashes"):
        place.drop(f"{name}.csv", [1, 2])
    workspace = connect("local")
    try:
        while requests := tick(place.landing).requests:
            for request in requests:
                batch = request.batch.id
                score_batch(place.landing, batch, workspace=workspace, scoring=scoring)
    finally:
        workspace.close()
    assert place.keys() == expected({"a.csv": 2, "b.csv": 2})
    assert "ran longer than its limit of 10 s" in place.reasons()["hangs.csv"]
    assert "SIGSEGV" in place.reasons()["crashes.csv"]
    assert differences(place.landing) == []
