"""How committing scales with the drops that a table knows: one application transaction a drop.

    python benchmarks/bench_landing_commit.py [--drops 20000] [--batch 1000]

Prints, while the table grows, what it costs to open it, to ask which drops of a batch it knows (at
once from the log, and one by one as ``DeltaTable.transaction_version`` does), and to commit.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from itertools import pairwise

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from rich.console import Console
from rich.table import Table

from mlops_dagster.landing.transactions import transaction_versions


def main(drops: int, batch: int) -> None:
    """Grow a table by batches and print ten lines on the way."""
    table = Table("drops known", "open s", "ask at once s", "ask one by one s", "commit s")
    rows = pa.table({"score": list(range(1_000))})
    with tempfile.TemporaryDirectory() as folder:
        write_deltalake(folder, rows, configuration={"delta.checkpointInterval": "10"})
        for number in range(drops // batch):
            ids = [hashlib.sha256(f"{number} {n}".encode()).hexdigest()[:32] for n in range(batch)]
            marks = [time.perf_counter()]
            opened = DeltaTable(folder)
            marks.append(time.perf_counter())
            assert not transaction_versions(opened, ids)
            marks.append(time.perf_counter())
            few = ids[:10]  # and as many times longer for all
            assert not [name for name in few if opened.transaction_version(name)]
            marks.append(time.perf_counter())
            changed = CommitProperties(app_transactions=[Transaction(name, 1) for name in ids])
            write_deltalake(opened, rows, mode="append", commit_properties=changed)
            marks.append(time.perf_counter())
            took = [later - earlier for earlier, later in pairwise(marks)]
            took[2] *= batch / len(few)
            if (number + 1) % max(1, drops // batch // 10) == 0:
                table.add_row(f"{number * batch:,}", *(f"{seconds:.3f}" for seconds in took))
    Console(width=100).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1_000)
    given = parser.parse_args()
    main(given.drops, given.batch)
