"""What a sweep's trials cost beyond their commands.

    python benchmarks/bench_sweep.py [--runs N] [--trials N]

Each trial computes a number and, in the sweep, logs it to MLflow as its metric. Aim: less than
0.15 s a trial beyond the command on two cores.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from timing import in_turn, print_table

from mlops_dagster.aml import load_job
from mlops_dagster.workspace.local import LocalWorkspace

# MLflow's own client would take a second to import, which is no cost of the sweep.
_TRIAL = """\
import json, os, sys, time
from http.client import HTTPConnection

value = sum(number * number % 7 for number in range(int(sys.argv[1]) + 1000))
print(value)
if address := os.environ.get("MLFLOW_TRACKING_URI"):
    message = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "score", "value": value,
               "timestamp": int(time.time() * 1000), "step": 0}
    connection = HTTPConnection(address.removeprefix("http://"))
    connection.request("POST", "/api/2.0/mlflow/runs/log-metric", json.dumps(message),
                       {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
"""

_SWEEP = """\
type: sweep
trial:
  command: python trial.py ${{{{search_space.x}}}}
  code: ./code
  environment: azureml:any@latest
search_space:
  x: {{type: randint, upper: 1000}}
sampling_algorithm: {{type: random, seed: 1}}
objective: {{goal: maximize, primary_metric: score}}
limits: {{max_total_trials: {trials}}}
compute: azureml:this-machine
"""


def main() -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args()
    trials: int = arguments.trials
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        here = Path(folder)
        (here / "code").mkdir()
        (here / "code" / "trial.py").write_text(_TRIAL)
        (here / "sweep.yml").write_text(_SWEEP.format(trials=trials))
        workspace = LocalWorkspace(here / "home")
        names = (f"sweep-{number}" for number in itertools.count())
        command = f"{sys.executable} code/trial.py"
        loop = f"for x in $(seq {trials}); do {command} $x; done"
        side_by_side = f"seq {trials} | xargs -n 1 -P {os.cpu_count()} {command}"
        cases = {
            f"{trials} commands in a shell loop": lambda: _shell(loop, here),
            f"the same, {os.cpu_count()} at once (xargs)": lambda: _shell(side_by_side, here),
            f"a sweep of {trials} trials, submit to done": lambda: _run(
                workspace, here / "sweep.yml", names
            ),
        }
        seconds = in_turn(cases, runs=arguments.runs)
        workspace.stop_services()
        workspace.close()
    print_table("Trials beyond their commands", seconds, steps=trials)


def _shell(script: str, folder: Path) -> None:
    subprocess.run(["bash", "-c", script], check=True, cwd=folder, stdout=subprocess.DEVNULL)


def _run(workspace: LocalWorkspace, file: Path, names: Iterator[str]) -> None:
    name = next(names)
    workspace.jobs.submit(load_job(file), name=name)
    ended = workspace.jobs.wait(name)
    if ended.status != "Completed":
        sys.exit(f"{name} ended as {ended.status}: {ended.error}")


if __name__ == "__main__":
    main()
