"""A thousand files land while everything that works on them is killed at random.

Prints how many rows are in the table of scores exactly once, and what is in quarantine. Fails where
a row is missing or there twice, a bad file is not in quarantine, or a batch is left open.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.chaos.storm import storm


def main() -> int:
    """Run the storms and print what was counted; 1 where a promise did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30, help="at most")
    parser.add_argument("--runs", type=int, default=1, help="storms, each with the next seed")
    arguments = parser.parse_args()
    held = True
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        with tempfile.TemporaryDirectory(prefix="storm-") as folder:
            report = storm(
                Path(folder),
                drops_=arguments.drops,
                kills=arguments.kills,
                seed=seed,
                seconds=60 * arguments.minutes,
            )
        print(report)
        held = held and report.holds
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
