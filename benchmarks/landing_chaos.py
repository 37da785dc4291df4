"""A thousand files land while everything that works on them is killed, and the files storm too.

Some cannot be read, crash or hang the script that scores them, lose or double a row, or have a type
that a table cannot hold; in a folder, some grow, vanish for a while, or are restored by a backup.
From time to time the place where they land is away, for ten seconds to two minutes.

They land in a folder, or in a storage account that Azurite emulates, behind a network that fails:
found by listing its container or by the events on a queue, and scored into tables that lie in it.

Prints how many rows are in the table of scores exactly once with the value that the script gave, and
how every bad file ended. Fails where a row is missing, altered or there twice, a good file was given
up, a bad one is not named with its own reason, or anything still waits.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from mlops_dagster.cli.azurite import running_azurite
from tests.chaos.account import Account, unreliable_account
from tests.chaos.storm import storm, storm_plan


def main() -> int:
    """Run the storms and print what was counted; 1 where a promise did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--poison", type=int, default=2, help="files of each kind that does harm")
    parser.add_argument("--outages", type=int, default=4)
    parser.add_argument("--shortest", type=float, default=10, help="seconds of an outage")
    parser.add_argument("--longest", type=float, default=120, help="seconds of an outage")
    parser.add_argument("--minutes", type=float, default=60, help="at most")
    parser.add_argument("--runs", type=int, default=1, help="storms, each with the next seed")
    parser.add_argument("--source", choices=["folder", "listing", "queue"], default="folder")
    arguments = parser.parse_args()
    held = True
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        with (
            tempfile.TemporaryDirectory(prefix="storm-") as folder,
            account_for(arguments.source) as account,
        ):
            plan = storm_plan(
                arguments.drops,
                kills=arguments.kills,
                seed=seed,
                poison=arguments.poison,
                outages=(arguments.outages, arguments.shortest, arguments.longest),
                restless=account is None,
            )
            seconds = 60 * arguments.minutes
            report = storm(Path(folder), plan, seconds=seconds, account=account)
        print(report)
        held = held and report.holds
    return 0 if held else 1


@contextmanager
def account_for(source: str) -> Iterator[Account | None]:
    """The emulated account, where the files land in one."""
    if source == "folder":
        yield None
        return
    with (
        running_azurite() as azurite,
        unreliable_account(azurite, listing=source == "listing") as account,
    ):
        yield account


if __name__ == "__main__":
    sys.exit(main())
