"""What a local job costs beyond its command, and a pipeline beyond the same scripts in a shell.

    python benchmarks/bench_local_jobs.py [--runs N]

Aim: less than 0.5 s from submit to done for a command that does nothing.
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
from mlops_dagster.workspace import Workspace, connect

_TRUE = """\
type: command
command: "true"
environment: {image: any}
compute: azureml:this-machine
"""

_STEP = """\
import pathlib, sys
total = sum(value * value for value in range(300_000))
pathlib.Path(sys.argv[1]).write_text(str(total))
"""

_PIPELINE = """\
type: pipeline
settings: {default_compute: azureml:this-machine, force_rerun: true}
jobs:
  first:
    type: command
    code: ./code
    command: python step.py ${{outputs.out}}
    environment: {image: any}
    outputs: {out: {type: uri_file}}
  second:
    type: command
    code: ./code
    command: python step.py ${{outputs.out}} ${{inputs.before}}
    environment: {image: any}
    inputs: {before: {type: uri_file, path: "${{parent.jobs.first.outputs.out}}"}}
    outputs: {out: {type: uri_file}}
  third:
    type: command
    code: ./code
    command: python step.py ${{outputs.out}} ${{inputs.before}}
    environment: {image: any}
    inputs: {before: {type: uri_file, path: "${{parent.jobs.second.outputs.out}}"}}
    outputs: {out: {type: uri_file}}
"""


def main() -> None:
    """Run both comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        here = Path(folder)
        os.environ["MLOPS_HOME"] = str(here / "home")
        (here / "code").mkdir()
        (here / "code" / "step.py").write_text(_STEP)
        (here / "true.yml").write_text(_TRUE)
        (here / "pipeline.yml").write_text(_PIPELINE)
        workspace = connect("local")
        names = (f"job-{number}" for number in itertools.count())
        single = in_turn(
            {
                "bash -c true": lambda: subprocess.run(["bash", "-c", "true"], check=True),
                "job `true`, submit to done": lambda: _run(workspace, here / "true.yml", names),
                "mlops job run true.yml (a new process)": lambda: _cli(here / "true.yml"),
            },
            runs=runs,
        )
        print_table("A job beyond its command", single)
        script = "; ".join(f"{sys.executable} code/step.py {here}/{n}.txt" for n in range(3))
        pipeline = in_turn(
            {
                "three scripts in a shell": lambda: subprocess.run(
                    ["bash", "-c", script], check=True, cwd=here
                ),
                "three-step pipeline, submit to done": lambda: _run(
                    workspace, here / "pipeline.yml", names
                ),
            },
            runs=runs,
        )
        print_table("A pipeline beyond its scripts", pipeline, steps=3)
        workspace.close()


def _run(workspace: Workspace, file: Path, names: Iterator[str]) -> None:
    name = next(names)
    workspace.jobs.submit(load_job(file), name=name)
    ended = workspace.jobs.wait(name)
    if ended.status != "Completed":
        sys.exit(f"{name} ended as {ended.status}: {ended.error}")


def _cli(file: Path) -> None:
    mlops = Path(sys.executable).with_name("mlops")
    subprocess.run([mlops, "job", "run", file], check=True, capture_output=True, cwd="/")


if __name__ == "__main__":
    main()
