"""Ray Data with two actors: ``python ray_data.py FOLDER OUT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import ray
from scoring import model_in, scored


class Scorer:
    """Holds the model in an actor."""

    def __init__(self, folder: Path) -> None:
        self.model = model_in(folder)

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Score a block."""
        return scored(self.model, batch)


if __name__ == "__main__":
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    # One native thread an actor, as each of the other cases has it where that is faster.
    folder_of_this = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    environment = {"PYTHONPATH": folder_of_this, "OMP_NUM_THREADS": "1"}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": environment},
    )
    data = ray.data.read_parquet(str(folder / "input"))
    # Room for reading and writing beside the two actors, as Ray counts them.
    data.map_batches(
        Scorer,
        fn_constructor_args=(folder,),
        batch_size=None,
        batch_format="pandas",
        concurrency=2,
        num_cpus=0.5,
    ).write_parquet(str(out))
