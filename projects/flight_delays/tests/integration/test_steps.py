"""The steps as a pipeline runs them: their components' own commands, one after the other."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow

SCORE_BY_HAND = """
import sys
from pathlib import Path
import score
files = [str(path) for path in sorted(Path(sys.argv[1]).rglob("*.parquet"))]
score.init()
for file in files:
    print(*score.run([file]))
"""


@dataclass
class Runner:
    """Runs a component's command as its YAML says it, in a copy of its code."""

    project: Path
    root: Path
    outputs: dict[str, Path] = field(default_factory=dict)

    def run(self, step: str, **inputs: object) -> subprocess.CompletedProcess[str]:
        component = self.component(step)
        command = self.bound(component, component["command"], inputs)
        return self.bash(command, step)

    def run_parallel(self, step: str, **inputs: object) -> subprocess.CompletedProcess[str]:
        component = self.component(step)
        given = self.bound(component, component["task"]["program_arguments"], inputs)
        command = f"python -c '{SCORE_BY_HAND}' {inputs['features']} {given}"
        return self.bash(command, step)

    def component(self, step: str) -> dict:
        return yaml.safe_load((self.project / "code" / step / "component.yml").read_text())

    def bound(self, component: dict, text: str, given: dict[str, object]) -> str:
        defaults = {
            name: spec["default"] for name, spec in component["inputs"].items() if "default" in spec
        }
        values = {f"inputs.{name}": value for name, value in (defaults | given).items()}
        for name, spec in component["outputs"].items():
            path = self.root / name
            self.outputs[name] = path
            if spec["type"] != "uri_file":
                path.mkdir(exist_ok=True)
            values[f"outputs.{name}"] = path
        return re.sub(r"\$\{\{(.+?)\}\}", lambda match: str(values[match[1]]), text)

    def bash(self, command: str, step: str) -> subprocess.CompletedProcess[str]:
        snapshot = self.root / "snapshots" / step
        shutil.copytree(self.project / "code" / step, snapshot, dirs_exist_ok=True)
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.root / 'mlflow.db'}",
        }
        return subprocess.run(
            ["bash", "-c", command],
            cwd=snapshot,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def pipeline(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Ingested, preprocessed and trained on January and February, evaluated on March."""
    runner = Runner(project, tmp_path_factory.mktemp("pipeline"))
    out = runner.outputs
    succeeded(runner.run("ingestion", through="2013-03"))
    references = {name: out[name] for name in ("weather", "planes", "airports")}
    succeeded(runner.run("preprocessing", flights=out["flights"], **references))
    succeeded(
        runner.run(
            "training", features=out["features"], first_month="2013-01", last_month="2013-02"
        )
    )
    succeeded(
        runner.run(
            "evaluation",
            model=out["model"],
            features=out["features"],
            first_month="2013-03",
            last_month="2013-03",
        )
    )
    return runner


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_month_is_a_file_of_flights_and_a_file_of_features(pipeline: Runner) -> None:
    months = [f"year=2013/month={month:02d}/flights.parquet" for month in (1, 2, 3)]
    for name in ("flights", "features"):
        folder = pipeline.outputs[name]
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
        assert files == months
    rows = [len(pd.read_parquet(pipeline.outputs["features"] / month)) for month in months]
    assert rows == [27_004, 24_951, 28_834]
    assert not list(pipeline.outputs["rejected"].iterdir())


def test_the_evaluation_knows_more_than_the_baseline(pipeline: Runner) -> None:
    report = json.loads((pipeline.outputs["evaluation"] / "metrics.json").read_text())
    assert report["metrics"]["auc"] > report["metrics"]["baseline_auc"] > 0.55
    assert list(report["months"]) == ["2013-03"]
    for picture in ("roc.png", "calibration.png"):
        assert (pipeline.outputs["evaluation"] / picture).read_bytes().startswith(b"\x89PNG")
    scores = pd.read_parquet(pipeline.outputs["evaluation"] / "reference_scores.parquet")
    assert len(scores) == report["evaluation"]["rows"]


def test_what_was_logged_is_found_in_mlflow(pipeline: Runner) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{pipeline.root / 'mlflow.db'}")
    runs = client.search_runs(["0"])
    metrics = {name: value for run in runs for name, value in run.data.metrics.items()}
    report = json.loads((pipeline.outputs["evaluation"] / "metrics.json").read_text())
    assert report["metrics"].items() <= metrics.items()
    assert metrics["auc_2013-03"] == report["months"]["2013-03"]["auc"]
    assert any(run.data.params.get("seed") == "2013" for run in runs)


def test_a_model_below_the_margin_is_refused_in_one_line(pipeline: Runner) -> None:
    out = pipeline.outputs
    done = pipeline.run(
        "registration", model=out["model"], evaluation=out["evaluation"], min_auc_gain=0.5
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "refused" in done.stderr


def test_the_registered_model_scores_every_usable_row_of_a_drop(
    pipeline: Runner, tmp_path: Path
) -> None:
    out = pipeline.outputs
    succeeded(
        pipeline.run(
            "registration", model=out["model"], evaluation=out["evaluation"], min_auc_gain=-1
        )
    )
    assert (out["registered_model"] / "model_card.md").is_file()

    drops = tmp_path / "drops"
    drops.mkdir()
    march = pd.read_parquet(out["flights"] / "year=2013" / "month=03" / "flights.parquet")
    march.head(500).to_csv(drops / "2013-03-01.csv", index=False)
    march.iloc[500:600].assign(origin="???").to_parquet(drops / "bad.parquet")
    scoring = Runner(pipeline.project, tmp_path)
    references = {name: out[name] for name in ("weather", "planes", "airports")}
    succeeded(scoring.run("preprocessing", flights=drops, **references))
    log = succeeded(
        scoring.run_parallel(
            "scoring", features=scoring.outputs["features"], model=out["registered_model"]
        )
    )

    assert "2013-03-01.csv: 500 rows scored" in log
    scores = pd.read_parquet(tmp_path / "scores")
    assert len(scores) == 500
    assert len(pd.read_parquet(tmp_path / "rejected")) == 100


def test_bad_arguments_end_a_step_with_one_clear_line(pipeline: Runner) -> None:
    done = pipeline.run("ingestion", through="October")
    assert done.returncode == 1
    assert done.stderr == "ingest: --through is 'October'; expected a month as YYYY-MM\n"
