"""Dask on a local cluster of two workers: ``python dask_frame.py FOLDER OUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from scoring import model_in, scored


def scores_of(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """One partition's scores; the model is loaded once a worker."""
    return scored(model_in(folder), frame)


def main() -> None:
    """Read, score and write as Dask's documentation does it."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    meta = pd.DataFrame({"id": pd.Series(dtype="int64"), "score": pd.Series(dtype="float64")})
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        frame = dd.read_parquet(str(folder / "input"))
        frame.map_partitions(scores_of, folder, meta=meta).to_parquet(str(out), write_index=False)


if __name__ == "__main__":
    main()
