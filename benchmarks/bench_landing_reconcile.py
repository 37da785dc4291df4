"""What it costs to reconcile one batch while the tables grow, every row by its number.

    python benchmarks/bench_landing_reconcile.py [--batches 1000]

Commits batches of five drops of two hundred rows, a tenth of them rejected. For the first ten
batches, and for ten at other places up to the last, it prints the median CPU seconds of
reconciling the newest one, and of counting the same drops' rows with a scan of both tables; then
how much dearer the last ten are than the first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from pyarrow import dataset, parquet
from rich.console import Console
from rich.table import Table

from mlops_dagster.landing import Batch, Drop, Landing, SchemaEvolution, differences, open_landing
from mlops_dagster.landing.commit import commit
from mlops_dagster.landing.ledger import FrozenResults
from mlops_dagster.landing.maintenance import compact_small_files
from mlops_dagster.landing.results import collect
from mlops_dagster.landing.staging import Fact, Facts
from mlops_dagster.landing.values import Entry

DROPS, ROWS, REJECTED = 5, 200, 20
NEWEST = 10
START = datetime(2026, 1, 1, tzinfo=UTC)


class Filler:
    """Fills a landing with batches that are done."""

    def __init__(self, folder: Path) -> None:
        self.landing = open_landing("bench", drops=folder / "drops", home=folder / "home")
        self.batches: list[Batch] = []
        self._folder = folder
        for output, columns in (
            ("scores", {"q": [0.5] * (ROWS - REJECTED)}),
            ("rejected", {"row": list(range(REJECTED)), "reason": ["odd"] * REJECTED}),
        ):
            parquet.write_table(pa.table(columns), folder / f"{output}.parquet")

    def add(self) -> None:
        """One more batch: seen, cut, committed and closed as a run does it."""
        number = len(self.batches)
        at = START + timedelta(minutes=number)
        drops = [Drop(f"{number}/{n}.csv", "e", 1, at) for n in range(DROPS)]
        batch = Batch(tuple(Entry(drop) for drop in drops), at)
        facts = Facts({drop.id: Fact(rows=ROWS) for drop in drops})
        job = self._folder / f"job-{number}"
        for output in ("scores", "rejected"):
            (job / output).mkdir(parents=True)
            for drop in drops:
                os.link(self._folder / f"{output}.parquet", job / output / f"{drop.id}.parquet")
        results = collect(batch, facts, job / "scores", job / "rejected")
        ledger = self.landing.ledger
        ledger.record_drops(drops)
        ledger.add_batches(lambda *_: [batch])
        ledger.start(batch.id)
        ledger.freeze_results(
            batch.id, 1, FrozenResults(None, facts.to_json(), "m", at.isoformat())
        )
        commit(
            self.landing.tables,
            batch,
            facts,
            results,
            evolution=SchemaEvolution.NONE,
            model="m",
            at=at,
        )
        ledger.close(batch.id, results.outcomes)
        compact_small_files(self.landing.tables)
        self.batches.append(batch)


def reconcile(landing: Landing, batch: Batch) -> None:
    """As the check ``reconciliation`` does."""
    assert not differences(landing, batch=batch.id)


def scan(landing: Landing, batch: Batch) -> None:
    """Count the rows of the batch's drops among those of the whole tables."""
    wanted = dataset.field("drop_id").isin([drop.id for drop in batch.drops])
    rows = 0
    for uri in (landing.tables.scores, landing.tables.quarantine):
        parts = DeltaTable(uri).to_pyarrow_dataset().to_batches(["drop_id"], filter=wanted)
        rows += sum(len(part) for part in parts)
    assert rows == DROPS * ROWS


def costs(filler: Filler, size: int) -> tuple[float, float]:
    """Fill up to ``size`` batches; the median CPU seconds of both for each of the newest ones."""
    taken = []
    while len(filler.batches) < size:
        filler.add()
        if len(filler.batches) > size - NEWEST:
            marks = [time.process_time()]
            for work in (reconcile, scan):
                work(filler.landing, filler.batches[-1])
                marks.append(time.process_time())
            taken.append([later - earlier for earlier, later in pairwise(marks)])
    reconciled, scanned = map(statistics.median, zip(*taken, strict=True))
    return reconciled, scanned


def main(batches: int) -> None:
    """Fill the tables and print a line at some sizes."""
    table = Table("batches", "rows", "reconcile CPU s", "full scan CPU s")
    tenths = {batches * tenth // 10 for tenth in (1, 2, 4, 6, 8, 10)}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        filler = Filler(Path(folder))
        for size in sorted({NEWEST} | {size for size in tenths if size > NEWEST}):
            found.append(costs(filler, size))
            figures = [f"{seconds:.4f}" for seconds in found[-1]]
            table.add_row(f"{size:,}", f"{size * DROPS * ROWS:,}", *figures)
    console = Console(width=100)
    console.print(table)
    grown, scan_grown = (last / first for first, last in zip(found[0], found[-1], strict=True))
    console.print(
        f"From batch {NEWEST} to batch {batches:,} the cost of reconciling one grew {grown:.1f} "
        f"times, that of a scan of the tables {scan_grown:.1f} times."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=1_000)
    main(parser.parse_args().batches)
