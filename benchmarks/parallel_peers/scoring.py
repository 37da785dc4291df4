"""The work that every peer does: score a Parquet file's rows and write the scores beside their ids."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd


@lru_cache(maxsize=1)
def model_in(folder: Path) -> Any:
    """The scikit-learn model of the benchmark, loaded once a process."""
    import joblib

    return joblib.load(folder / "model.joblib")


def scored(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """``id`` and ``score`` of each row."""
    features = frame.drop(columns="id")
    return pd.DataFrame({"id": frame["id"], "score": model.predict_proba(features)[:, 1]})


def score_file(model: Any, path: Path, out: Path) -> int:
    """Score one file into a file of the same name below ``out``; returns its rows."""
    scores = scored(model, pd.read_parquet(path))
    scores.to_parquet(out / path.name)
    return len(scores)
