"""Score files of features: the entry script of a parallel step.

Every worker calls ``init`` once and ``run`` for each of its mini batches. A file of scores appears
whole or not at all, and scoring a file again writes the same file again, so that a mini batch may
be tried as often as need be.
"""

import argparse
import os
from pathlib import Path, PurePosixPath
from typing import Any

import mlflow.sklearn
import pandas as pd

KEYS = ["flight_id", "date", "carrier", "flight", "origin", "dest"]

options: argparse.Namespace
model: Any


def init() -> None:
    """Read the step's arguments and load the model."""
    global options, model  # noqa: PLW0603 - the contract of a parallel step: init() sets, run() uses
    # The workers are the parallelism: threads of their own would only wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = parse_arguments()
    model = mlflow.sklearn.load_model(str(options.model))
    print("model loaded", flush=True)


def run(mini_batch: list[str]) -> list[str]:
    """Score the files of a mini batch; a line for each."""
    return [score_file(Path(path)) for path in mini_batch]


def score_file(path: Path) -> str:
    """Write the scores of a file of features; the line that tells of it."""
    flights = pd.read_parquet(path)
    if flights.empty:
        # Every row of the raw file was set aside before.
        return log_line(f"{path.name}: no rows to score")
    sources = flights["source"].unique()
    if len(sources) != 1:
        raise ValueError(f"{path} is of {len(sources)} raw files; features come a file for a file")
    scores = score(flights, options.threshold)
    write_whole(scores, scores_path(options.scores, sources[0], path.name))
    late = scores["late_predicted"].mean()
    return log_line(f"{sources[0]}: {len(scores):,} rows scored, {late:.1%} late")


def log_line(line: str) -> str:
    """Write a line to the log, and return it."""
    print(line, flush=True)
    return line


def score(flights: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The keys of the flights, how likely each is late, whether that counts as late, its place."""
    probability = model.predict_proba(flights[list(model.feature_names_in_)])[:, 1]
    return flights[KEYS].assign(
        late_probability=probability,
        late_predicted=probability >= threshold,
        source=flights["source"],
        row=flights["row"],
    )


def scores_path(folder: Path, source: str, name: str) -> Path:
    """Where the scores of a raw file go: below ``folder`` as the raw file lay below its own."""
    place = PurePosixPath(source).parent
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"the source {source!r} lies outside of its folder")
    return folder / place / name


def write_whole(table: pd.DataFrame, path: Path) -> None:
    """Write the table under another name first, so that a killed worker leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_parquet(unfinished, index=False)
    unfinished.replace(path)


def parse_arguments() -> argparse.Namespace:
    """The step's own arguments; Azure ML adds others, which are not ours to refuse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the MLflow model")
    parser.add_argument("--threshold", type=float, default=0.5, help="late from here on")
    parser.add_argument("--scores", type=Path, required=True, help="folder to write")
    return parser.parse_known_args()[0]
