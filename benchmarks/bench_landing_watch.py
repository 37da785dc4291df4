"""What a tick costs that finds ten new blobs, against how many are there: events and listing.

    python benchmarks/bench_landing_watch.py [--blobs 0 1000 5000] [--runs 5]

Runs Azurite, whose listing is far slower than Azure's and grows with the container: what counts is
the ratio to a bare listing in the same pages, and the slope of the queue mode, which should be flat.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from azure.storage.blob import ContainerClient
from rich.console import Console
from rich.table import Table

from mlops_dagster.cli.azurite import Azurite, running_azurite
from mlops_dagster.cli.demo.drops import blob_created
from mlops_dagster.landing import Limits, Rules, Selection, open_landing, tick
from mlops_dagster.landing.sources import Source
from mlops_dagster.landing.sources.blobs import BlobSource
from mlops_dagster.landing.sources.queue import QueueSource
from tests.landing.azurite import new_container, new_queue

NEW = 10
QUIET = Rules(Limits(drops=1_000_000))  # no batches: it is the watching that is measured


def main(sizes: list[int], runs: int) -> None:
    """Measure each size and print the table and the slopes."""
    table = Table(
        "blobs", "bare listing s", "tick by listing s", "ratio", "tick by queue s", "peak MB"
    )
    slopes: list[tuple[int, float, float]] = []
    with running_azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            bare, listing, queue, peak = watch_costs(azurite, Path(folder), size, runs)
            slopes.append((size, listing, queue))
            table.add_row(
                f"{size:,}",
                f"{bare:.3f}",
                f"{listing:.3f}",
                f"{listing / bare:.2f}",
                f"{queue:.3f}",
                f"{peak:.1f}",
            )
    Console(width=100).print(table)
    (small, listing_small, queue_small), (large, listing_large, queue_large) = slopes[0], slopes[-1]
    if large > small:
        per = 1e6 / (large - small)
        print(
            f"slope: listing {(listing_large - listing_small) * per:+.1f} s a million blobs, ",
            end="",
        )
        print(f"queue {(queue_large - queue_small) * per:+.2f} s")


def watch_costs(
    azurite: Azurite, folder: Path, size: int, runs: int
) -> tuple[float, float, float, float]:
    """Medians of a bare listing and of both ticks in seconds, and a tick's peak memory in MB."""
    container, queue = new_container(azurite), new_queue(azurite)
    upload(container, [f"old/{number:07}.csv" for number in range(size)])
    by = {
        "listing": BlobSource(container, Selection()),
        "queue": QueueSource(queue, container, Selection()),
    }
    look = {name: ticks(folder / f"{size}-{name}", source) for name, source in by.items()}
    for once in look.values():
        once()
    times: dict[str, list[float]] = {"bare": [], "listing": [], "queue": []}
    # The first tick of each takes what is there, and is not counted.
    for run in range(runs):
        names = [f"new/{run}-{number}.csv" for number in range(NEW)]
        upload(container, names)
        for name in names:
            queue.send_message(blob_created(container, name))
        cases = {"bare": lambda: sum(1 for _ in container.list_blobs()), **look}
        # Turn about: whoever comes first after an upload finds the emulator still at work.
        for name in sorted(cases, reverse=run % 2 == 0):
            times[name].append(seconds_of(cases[name]))
    tracemalloc.start()
    look["listing"]()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    bare, listing, queued = (
        statistics.median(times[name]) for name in ("bare", "listing", "queue")
    )
    return bare, listing, queued, peak


def ticks(home: Path, source: Source) -> Callable[[], object]:
    """A tick of a fresh landing, to be called again and again."""
    landing = replace(open_landing("bench", drops=home, home=home, rules=QUIET), source=source)
    return lambda: tick(landing, seconds=600)


def seconds_of(call: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def upload(container: ContainerClient, names: list[str]) -> None:
    """Make blobs of one byte."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: container.upload_blob(name, b"x"), names))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, nargs="+", default=[0, 1_000, 5_000])
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    main(given.blobs, given.runs)
