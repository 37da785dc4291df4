"""The entry script of the parallel step."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scoring import model_in, score_file


def init() -> None:
    """Load the model, once a process."""
    model_in(Path(sys.argv[1]))


def run(mini_batch: list[str]) -> list[str]:
    """Score each file of a mini batch; one line a file comes back."""
    out = Path(os.environ["AZUREML_BI_OUTPUT_PATH"])
    model = model_in(Path(sys.argv[1]))
    return [f"{Path(path).name} {score_file(model, Path(path), out)}" for path in mini_batch]
