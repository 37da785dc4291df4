"""How long a project's code location takes to load, against a bare Dagster one of the same size.

    python benchmarks/bench_location_load.py [--runs N]

Aim: within 1.25 times the bare one, whose assets, checks, jobs and schedules are written by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import in_turn, print_table

_PROJECT = Path(__file__).parents[1] / "projects" / "flight_delays"

_COUNT = """\
import sys, importlib.util
spec = importlib.util.spec_from_file_location("location", sys.argv[1])
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
repository = module.defs.get_repository_def()
print(len(repository.asset_graph.materializable_asset_keys),
      len(repository.asset_graph.asset_check_keys))
"""

_BARE = """\
import dagster as dg

def make(number):
    deps = [dg.AssetKey(f"asset_{number - 1}")] if number else []
    @dg.asset(name=f"asset_{number}", deps=deps, group_name="bare", owners=["team:bare"])
    def one(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"rows": 1})
    return one

def check(number, on):
    @dg.asset_check(asset=on, name=f"check_{number}")
    def one() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)
    return one

assets = [make(number) for number in range(ASSETS)]
checks = [check(number, assets[number % len(assets)]) for number in range(CHECKS)]
job = dg.define_asset_job("all", selection=dg.AssetSelection.all())
defs = dg.Definitions(
    assets=assets, asset_checks=checks, jobs=[job],
    schedules=[dg.ScheduleDefinition(job=job, cron_schedule="0 4 * * 1")],
)
"""


def main() -> None:
    """Load both in turn, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    definitions = _PROJECT / "definitions.py"
    assets, checks = _load(definitions).split()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        bare = Path(folder) / "definitions.py"
        bare.write_text(_BARE.replace("ASSETS", assets).replace("CHECKS", checks))
        seconds = in_turn(
            {
                f"bare Dagster: {assets} assets, {checks} checks": lambda: _load(bare),
                "flight_delays from its YAML": lambda: _load(definitions),
            },
            runs=runs,
        )
    print_table("Loading a code location", seconds)


def _load(definitions: Path) -> str:
    command = [sys.executable, "-c", _COUNT, str(definitions)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
