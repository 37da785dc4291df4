"""One pandas loop over the files: ``python pandas_loop.py FOLDER OUT``."""

from __future__ import annotations

import sys
from pathlib import Path

from scoring import model_in, score_file

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
model = model_in(folder)
for path in sorted((folder / "input").iterdir()):
    score_file(model, path, out)
