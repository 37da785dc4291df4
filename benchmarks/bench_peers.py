"""A ten-step pipeline and a hundred-trial sweep of trivial commands, beside the runners users know.

    python benchmarks/bench_peers.py [--runs N]

Every case runs the same scripts, from its own command line, in a process of its own, two trials at
once. The trials log no metric, since the other runners know none: a sweep then ends as failed, after
its hundred trials, which is what is timed. The peers are installed by uv into a virtual environment
that is kept in the temporary folder. Aims: ahead of every peer, and within 1.2 times the shell and
0.3 s a step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from timing import in_turn, print_table

PEERS = Path(__file__).resolve().parent / "pipeline_peers"
PACKAGES = ("metaflow==2.*", "kfp==2.*")
STEPS, TRIALS = 10, 100
NO_METRIC = f"None of its {TRIALS} trials brought the primary metric"

_STEP = """\
  step_{number}:
    type: command
    code: {code}
    command: bash step.sh ${{{{inputs.before}}}} ${{{{outputs.after}}}}
    environment: {{image: any}}
    inputs: {{before: {{type: uri_file, path: "{before}"}}}}
    outputs: {{after: {{type: uri_file}}}}
"""
_SWEEP = f"""\
type: sweep
trial: {{command: "bash trial.sh ${{{{search_space.a}}}}", code: {PEERS}, environment: {{image: any}}}}
search_space: {{a: {{type: choice, values: {list(range(TRIALS))}}}}}
sampling_algorithm: grid
objective: {{goal: minimize, primary_metric: none}}
limits: {{max_total_trials: {TRIALS}, max_concurrent_trials: 2}}
compute: azureml:this-machine
"""


def main() -> None:
    """Run both comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    python = _peers()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        here = Path(folder)
        (here / "0.txt").touch()
        (here / "pipeline.yml").write_text(_pipeline(here))
        (here / "sweep.yml").write_text(_SWEEP)
        mlops = Path(sys.executable).with_name("mlops")
        shell = "; ".join(f"bash {PEERS}/step.sh {n}.txt {n + 1}.txt" for n in range(STEPS))
        chain: dict[str, list[object]] = {
            "shell script": ["bash", "-c", shell],
            "mlops job run": [mlops, "job", "run", "pipeline.yml"],
            "Metaflow": [python, PEERS / "metaflow_chain.py", "--quiet", "--no-pylint", "run"],
            "Kubeflow Pipelines, local": [python, PEERS / "kfp_local.py", "chain"],
        }
        print_table("Ten steps", _timed(chain, here, runs), steps=STEPS)
        each = f"seq 0 {TRIALS - 1} | xargs -P 2 -n 1 bash {PEERS}/trial.sh"
        fan = ["--quiet", "--no-pylint", "run", "--max-workers", "2", "--max-num-splits", "100"]
        sweep: dict[str, list[object]] = {
            "shell, xargs": ["bash", "-c", each],
            "mlops job run": [mlops, "job", "run", "sweep.yml"],
            "Metaflow": [python, PEERS / "metaflow_sweep.py", *fan],
            "Kubeflow Pipelines, local": [python, PEERS / "kfp_local.py", "sweep"],
        }
        print_table("A hundred trials", _timed(sweep, here, runs), steps=TRIALS)


def _timed(cases: Mapping[str, list[object]], here: Path, runs: int) -> dict[str, list[float]]:
    calls = {name: lambda command=command: _run(command, here) for name, command in cases.items()}
    return in_turn(calls, runs=runs)


def _run(command: list[object], here: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "MLOPS_HOME": str(here / "home"),
        "METAFLOW_HOME": str(here / "metaflow"),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(here),
        "METAFLOW_USER": "benchmark",
    }
    if isinstance(command[0], Path):  # each finds its own interpreter first
        environment["PATH"] = os.pathsep.join((str(command[0].parent), environment["PATH"]))
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode and NO_METRIC not in ran.stdout:
        sys.exit(f"{command[0]} ended with {ran.returncode}:\n{ran.stdout[-2000:]}")


def _pipeline(here: Path) -> str:
    steps = [
        _STEP.format(
            number=number,
            code=PEERS,
            before=f"${{{{parent.jobs.step_{number - 1}.outputs.after}}}}"
            if number
            else here / "0.txt",
        )
        for number in range(STEPS)
    ]
    head = "settings: {default_compute: azureml:this-machine, force_rerun: true}"
    return f"type: pipeline\n{head}\njobs:\n{''.join(steps)}"


def _peers() -> Path:
    """The interpreter of an environment that has the peers, made where there is none yet."""
    folder = Path(tempfile.gettempdir()) / f"mlops-benchmark-peers-{os.getuid()}"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*uv, "pip", "install", "--python", python, *PACKAGES], check=True)
        (folder / "whole").touch()
    return python


if __name__ == "__main__":
    main()
