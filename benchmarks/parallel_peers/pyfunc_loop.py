"""``mlflow.pyfunc`` in one process: ``python pyfunc_loop.py FOLDER OUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow.pyfunc
import pandas as pd

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
model = mlflow.pyfunc.load_model(str(folder / "pyfunc"))
for path in sorted((folder / "input").iterdir()):
    frame = pd.read_parquet(path)
    scores = model.predict(frame.drop(columns="id"))[:, 1]
    pd.DataFrame({"id": frame["id"], "score": scores}).to_parquet(out / path.name)
