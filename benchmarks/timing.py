"""Timing commands side by side: turn about, several runs, medians and ratios.

The machine may be shared and noisy, so no figure stands alone: every case runs once per round, in
turn, and is told as a ratio to the first.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

Case = Callable[[], object]


def in_turn(cases: Mapping[str, Case], *, runs: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Wall seconds of every case in every counted round, the cases of a round one after another."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for round_ in range(warm_up + runs):
        label = "warm-up" if round_ < warm_up else f"run {round_ - warm_up + 1}/{runs}"
        for name, case in cases.items():
            _progress(f"{label}: {name}")
            started = time.perf_counter()
            case()
            took = time.perf_counter() - started
            if round_ >= warm_up:
                seconds[name].append(took)
    _progress("")
    return seconds


def print_table(title: str, seconds: Mapping[str, list[float]], *, steps: int = 1) -> None:
    """Print medians, spreads and ratios; the first case is what the others are compared with.

    Args:
        title: what is compared.
        seconds: of each case, as ``in_turn`` returns them.
        steps: how many jobs or steps one run holds, for the cost of one beyond the first case's.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("case")
    for heading in ("median s", "min s", "max s", "ratio", "s more a step"):
        table.add_column(heading, justify="right")
    base = statistics.median(next(iter(seconds.values())))
    for name, runs in seconds.items():
        median = statistics.median(runs)
        table.add_row(
            name,
            f"{median:.3f}",
            f"{min(runs):.3f}",
            f"{max(runs):.3f}",
            f"{median / base:.2f}",
            f"{(median - base) / steps:+.3f}",
        )
    Console(width=100).print(table)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<79}", end="" if text else "\r", file=sys.stderr, flush=True)
