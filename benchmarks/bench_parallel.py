"""Rows a second of the local parallel runner beside what a person would use instead.

    python benchmarks/bench_parallel.py [--runs N] [--files N] [--rows N] [--no-peers]
    python benchmarks/bench_parallel.py --memory

The same scikit-learn model scores the same Parquet files on the same cores, each case as a whole
process from its start to its end, in turn; every case's scores are compared row by row. Dask and Ray
Data are installed into a temporary virtual environment with the same versions of pandas and
scikit-learn; ``--no-peers`` leaves them out. ``--memory`` instead prints what the driver holds at its
peak as the number of input files grows.

Aim: ahead of every other case, and flat memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from timing import in_turn, print_table

_PEERS = Path(__file__).parent / "parallel_peers"
_FEATURES = 12


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--rows", type=int, default=40_000, help="rows a file")
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, default=True, help="with Dask and Ray"
    )
    parser.add_argument("--python", help="an environment that has the peers, instead of a new one")
    parser.add_argument("--memory", action="store_true", help="the driver's memory instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.memory:
            measure_memory(folder)
        else:
            measure_throughput(folder, options)


def measure_throughput(folder: Path, options: argparse.Namespace) -> None:
    """Print the table of the cases, and rows a second."""
    _make_input(folder, options.files, options.rows)
    cases: dict[str, Callable[[Path], None]] = {
        "local parallel runner": partial(_run_step, folder),
        "one pandas loop": partial(_run_peer, folder, "pandas_loop.py", sys.executable),
        "mlflow.pyfunc, one process": partial(_run_peer, folder, "pyfunc_loop.py", sys.executable),
    }
    if options.peers:
        python = options.python or _peers_environment(folder / "peers")
        cases["Dask, two workers"] = partial(_run_peer, folder, "dask_frame.py", python)
        cases["Ray Data, two actors"] = partial(_run_peer, folder, "ray_data.py", python)
    outs = {name: folder / f"out-{at}" for at, name in enumerate(cases)}
    for name, case in cases.items():
        _afresh(case, outs[name])
    _check_equal(outs)
    seconds = in_turn(
        {name: partial(_afresh, case, outs[name]) for name, case in cases.items()},
        runs=options.runs,
        warm_up=0,
    )
    rows = options.files * options.rows
    title = f"{rows:,} rows in {options.files} Parquet files, {os.cpu_count()} cores"
    print_table(title, seconds, steps=options.files)
    for name, runs in seconds.items():
        print(f"{name}: {rows / median(runs):,.0f} rows/s")


def measure_memory(folder: Path) -> None:
    """Print the peak memory of driver and workers for more and more input files."""
    table = Table(title="input files of one byte, 100 a mini batch", title_justify="left")
    for heading in ("files", "seconds", "files/s", "peak MB of the largest process"):
        table.add_column(heading, justify="right")
    source = folder / "input"
    source.mkdir()
    made = 0
    code = folder / "code"
    code.mkdir()
    (code / "entry.py").write_text("def run(mini_batch): return mini_batch\n")
    for files in (1_000, 10_000, 100_000):
        for number in range(made, files):
            (source / f"{number:07d}.txt").write_bytes(b"x")
        made = files
        out = folder / f"memory-{files}"
        plan = _plan(folder, out) | {"code": str(code), "mini_batch_size": "100"}
        out.mkdir()
        taken, peak = _timed(plan, out)
        table.add_row(f"{files:,}", f"{taken:.2f}", f"{files / taken:,.0f}", f"{peak:.0f}")
    Console(width=100).print(table)


def _make_input(folder: Path, files: int, rows: int) -> None:
    import joblib
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(7)
    names = [f"x{number}" for number in range(_FEATURES)]

    def frame(count: int, first: int) -> pd.DataFrame:
        values = random.normal(size=(count, _FEATURES)).astype("float32")
        return pd.DataFrame(values, columns=names).assign(id=range(first, first + count))

    (folder / "input").mkdir()
    for number in range(files):
        frame(rows, number * rows).to_parquet(folder / "input" / f"{number:04d}.parquet")
    sample = frame(20_000, 0).drop(columns="id")
    target = sample.x0 * sample.x1 + sample.x2 > random.normal(size=len(sample))
    model = HistGradientBoostingClassifier(max_iter=100, random_state=7).fit(sample, target)
    joblib.dump(model, folder / "model.joblib")
    mlflow.sklearn.save_model(
        model,
        folder / "pyfunc",
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
    )


def _afresh(case: Callable[[Path], None], out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    case(out)


def _plan(folder: Path, out: Path) -> dict[str, Any]:
    return {
        "code": str(_PEERS),
        "entry_script": "entry.py",
        "arguments": [str(folder)],
        "input": {"path": str(folder / "input")},
        "mini_batch_error_threshold": 0,
        "output_folder": str(out),
        "append_row_to": f"{out}-rows.txt",
        "logs": f"{out}-logs",
        "state": f"{out}-state",
    }


def _run_step(folder: Path, out: Path) -> None:
    _timed(_plan(folder, out), out)


def _timed(plan: dict[str, Any], out: Path) -> tuple[float, float]:
    """Seconds of a step, and the peak memory in MB of the largest of its processes."""
    import time

    path = Path(f"{out}-plan.json")
    path.write_text(json.dumps(plan))
    started = time.perf_counter()
    driver = subprocess.Popen(
        [sys.executable, "-m", "mlops_dagster.workspace.local.parallel", str(path)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(driver.pid, 0)
    driver.returncode = os.waitstatus_to_exitcode(status)
    if driver.returncode:
        raise SystemExit(f"the step ended with status {driver.returncode}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return time.perf_counter() - started, usage.ru_maxrss / unit


def _run_peer(folder: Path, script: str, python: str, out: Path) -> None:
    log = Path(f"{out}.log")
    with log.open("wb") as file:
        ended = subprocess.run(
            [python, str(_PEERS / script), str(folder), str(out)],
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        raise SystemExit(f"{script} failed:\n{log.read_text()[-2000:]}")


def _peers_environment(folder: Path) -> str:
    uv = [sys.executable, "-m", "uv"]
    python = folder / "bin" / "python"
    same = [f"{name}=={version(name)}" for name in ("pandas", "pyarrow", "scikit-learn", "joblib")]
    print("installing Dask and Ray Data into a temporary environment", file=sys.stderr)
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    install = [*uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python)]
    subprocess.run([*install, "dask[dataframe,distributed]", "ray[data]", *same], check=True)
    return str(python)


def _check_equal(outs: dict[str, Path]) -> None:
    import pandas as pd

    first: pd.DataFrame | None = None
    for name, out in outs.items():
        parts = [pd.read_parquet(path) for path in sorted(out.rglob("*.parquet"))]
        plain = pd.concat(parts).astype({"id": "int64", "score": "float64"})
        scores = plain.sort_values("id", ignore_index=True)
        first = scores if first is None else first
        if not scores.equals(first):
            raise SystemExit(f"{name} wrote other scores than {next(iter(outs))}")


if __name__ == "__main__":
    main()
