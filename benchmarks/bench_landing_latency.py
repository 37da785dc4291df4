"""From a dropped file to the start of its scoring, with Dagster's own daemon; and where it goes.

The sensor's interval is 1 s, but its daemon starts it every 5 s only; a queued run waits for another
daemon. Prints the median of each part in seconds: with the settings of `mlops ui`, whose sensors run
in threads, so that this one goes on looking, and which queue runs and look at the queue every second;
and with Dagster's own sensors, one after the other, and runs that start at once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from dagster import DagsterInstance, RunsFilter
from dagster._core.instance.ref import InstanceRef

from mlops_dagster.cli.dagster.instance import SETTINGS
from mlops_dagster.workspace.local import LocalWorkspace
from tests.defs.dropping import PROJECT, Dropping, daemon

NOW = PROJECT.replace("age: 1 second", "age: 0 seconds")
AT_ONCE = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
PARTS = ("seen by the sensor", "run made", "run started", "job started")


@dataclass(frozen=True)
class Latency:
    """Seconds from the drop to each part's end."""

    ends: Sequence[float]


def main() -> int:
    """Measure both settings and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    found = {
        "queued runs": latencies(SETTINGS, arguments.drops),
        "runs at once": latencies(AT_ONCE, arguments.drops),
    }
    medians = {
        name: [statistics.median(each.ends[part] for each in seen) for part in range(len(PARTS))]
        for name, seen in found.items()
    }
    if arguments.json:
        print(
            json.dumps(
                {name: dict(zip(PARTS, each, strict=True)) for name, each in medians.items()}
            )
        )
        return 0
    print(f"{'seconds after the drop (median)':34}" + "".join(f"{name:>16}" for name in medians))
    for position, part in enumerate(PARTS):
        line = "".join(f"{each[position]:16.1f}" for each in medians.values())
        print(f"{part:34}{line}")
    worst = {name: max(each.ends[-1] for each in seen) for name, seen in found.items()}
    print(f"{'the slowest':34}" + "".join(f"{each:16.1f}" for each in worst.values()))
    return 0


def latencies(settings: str, count: int) -> list[Latency]:
    """One drop after the other, each when the one before has been scored."""
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        place = Dropping.make(Path(folder), Path(folder) / ".mlops", project=NOW)
        (place.dagster_home / "dagster.yaml").write_text(settings, encoding="utf-8")
        dropped = {}
        with daemon(place):
            for number in range(count + 1):
                # Not in step with the daemon's own rhythm.
                time.sleep(number * 0.7 % 5)
                dropped[number] = time.time()
                place.drop(f"{number}.csv", [1])
                deadline = time.monotonic() + 120
                while not place.is_done(number + 1):
                    if time.monotonic() > deadline:
                        raise SystemExit(f"drop {number} was not scored within 120 s")
                    time.sleep(0.1)
            time.sleep(3)
        # The first one waits for the daemon to start.
        return list(_latencies(place, dropped))[1:]


def _latencies(place: Dropping, dropped: dict[int, float]) -> Iterator[Latency]:
    workspace = LocalWorkspace(place.home)
    jobs = {job.tags["landing.batch"]: job for job in workspace.jobs.list()}
    runs = {}
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(place.dagster_home))) as instance:
        for record in instance.get_run_records(RunsFilter(job_name="landing_scoring")):
            runs[record.dagster_run.tags["landing/batch"]] = record
    for seen in place.landing.ledger.drops():
        began = dropped[int(seen.drop.path.removesuffix(".csv"))]
        run, job = runs[seen.batch or ""], jobs[seen.batch or ""]
        started = job.started_at or job.created_at
        moments = (
            seen.seen_at.timestamp(),
            run.create_timestamp.timestamp(),
            run.start_time or 0.0,
            started.timestamp(),
        )
        yield Latency([moment - began for moment in moments])
    workspace.close()


if __name__ == "__main__":
    sys.exit(main())
