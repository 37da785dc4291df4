"""The files of a storm: what each kind of file holds, how it behaves, and how it has to end."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from mlops_dagster.landing import DropState

ROWS = 7


class Kind(StrEnum):
    """What a file of the storm does."""

    GOOD = "good"
    GROWING = "growing"
    VANISHING = "vanishing"
    RESTORED = "restored"
    EMPTY = "empty"
    TORN = "torn"
    CRASHES = "crashes"
    HANGS = "hangs"
    LOSES = "loses a row"
    DOUBLES = "doubles a row"
    UNSUPPORTED_TYPE = "has a type that Delta cannot hold"

    @property
    def is_good(self) -> bool:
        """Whether its rows have to be scored."""
        return self in _GOOD


# Good files that change while the storm is on, in a folder.
RESTLESS = (Kind.GROWING, Kind.VANISHING, Kind.RESTORED)
# Each of these makes every batch fail that it is in.
POISON = (Kind.CRASHES, Kind.HANGS, Kind.LOSES, Kind.DOUBLES, Kind.UNSUPPORTED_TYPE)
_GOOD = (Kind.GOOD, *RESTLESS)

# How a bad file has to end, and what its reason has to say.
ENDS: dict[Kind, tuple[DropState, str]] = {
    Kind.EMPTY: (DropState.QUARANTINED, r"^empty: it has no bytes"),
    Kind.TORN: (DropState.QUARANTINED, r"^unreadable: "),
    Kind.CRASHES: (DropState.FAILED, r"Job .* ended as Failed"),
    Kind.HANGS: (DropState.FAILED, r"Job .* ended as Failed"),
    Kind.LOSES: (DropState.FAILED, rf"has {ROWS} rows; the job scored {ROWS - 1} "),
    Kind.DOUBLES: (DropState.FAILED, rf"has {ROWS} rows; the job scored {ROWS + 1} "),
    Kind.UNSUPPORTED_TYPE: (DropState.FAILED, r"duration"),
}

# The entry script: what a file's first key says, it does.
SCORE = '''\
"""Double the value of every row, a file of scores for each file; some files do harm."""
import csv, datetime, os, pathlib, signal, sys, time
import pyarrow as pa
from pyarrow import parquet

scores = None

def init():
    global scores
    scores = pathlib.Path(sys.argv[sys.argv.index("--scores") + 1])

def run(mini_batch):
    for name in mini_batch:
        file = pathlib.Path(name)
        with file.open(newline="") as lines:
            rows = [{"key": r["key"], "score": 2 * float(r["value"])} for r in csv.DictReader(lines)]
        harm = rows[0]["key"].partition("!")[2].partition(":")[0]
        if harm == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif harm == "hangs":
            time.sleep(3600)
        elif harm == "loses a row":
            rows.pop()
        elif harm == "doubles a row":
            rows.append(rows[0])
        table = pa.Table.from_pylist(rows)
        if harm.startswith("has a type"):
            spans = [datetime.timedelta(seconds=1)] * len(table)
            table = table.append_column("span", pa.array(spans))
        unfinished = scores / f".{file.name}.{os.getpid()}"
        parquet.write_table(table, unfinished)
        unfinished.replace(scores / f"{file.name}.parquet")
    return list(mini_batch)
'''


@dataclass(frozen=True)
class StormFile:
    """A file that is dropped."""

    number: int
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.number:05}.{'parquet' if self.kind is Kind.TORN else 'csv'}"

    @property
    def text(self) -> str:
        if self.kind is Kind.EMPTY:
            return ""
        if self.kind is Kind.TORN:
            return "PAR1 torn"
        harm = f"!{self.kind}" if self.kind in POISON else ""
        lines = [f"{self.number:05}{harm}:{row},{self.value(row)}" for row in range(ROWS)]
        return "\n".join(["key,value", *lines, ""])

    def value(self, row: int) -> int:
        """Another one for every row of the storm."""
        return self.number * ROWS + row

    @property
    def scores(self) -> dict[str, float]:
        """What has to be in the table of it, once."""
        if not self.kind.is_good:
            return {}
        return {f"{self.number:05}:{row}": 2.0 * self.value(row) for row in range(ROWS)}

    def ended_well(self, state: DropState | None, reason: str) -> bool:
        """Whether a bad file is named with its own reason."""
        expected, pattern = ENDS[self.kind]
        return state is expected and re.search(pattern, reason) is not None


def storm_files(count: int, *, poison: int, restless: bool) -> list[StormFile]:
    """So many files: every 20th cannot be read, ``poison`` of each kind break their batch.

    Args:
        restless: some good ones grow, vanish for a while, or are restored by a backup.
    """
    harm = list(POISON) * poison
    at = {(place * count) // max(1, len(harm)) + 1: kind for place, kind in enumerate(harm)}
    return [StormFile(number, _kind(number, at, restless)) for number in range(count)]


def _kind(number: int, harm: dict[int, Kind], restless: bool) -> Kind:
    if number in harm:
        return harm[number]
    if number % 20 == 7:
        return Kind.EMPTY if number % 40 == 7 else Kind.TORN
    if restless and number % 10 in (2, 4, 6):
        return RESTLESS[number % 10 // 2 - 1]
    return Kind.GOOD


def actions_on(file: StormFile, folder: Path) -> Iterator[tuple[float, Callable[[], object]]]:
    """What happens to a file in a folder: pairs of the seconds before an action, and the action."""
    path, aside = folder / file.name, folder / f".{uuid.uuid4().hex}"
    if file.kind is Kind.GROWING:
        lines = file.text.splitlines(keepends=True)
        for line in lines:
            yield 0.2, partial(_append, path, line)
        return
    yield 0.0, lambda: _move_in(path, file.text)
    if file.kind is Kind.VANISHING:
        yield 0.5 * (file.number % 7), lambda: path.rename(aside)
        yield 1.0 + file.number % 5, lambda: aside.rename(path)
    if file.kind is Kind.RESTORED:
        yield 1.0 * (file.number % 31), lambda: _restore(path, keep_times=file.number % 20 < 10)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def _move_in(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{uuid.uuid4().hex}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _restore(path: Path, *, keep_times: bool) -> None:
    """Put a copy in the file's place, as a backup does."""
    copy = path.with_name(f".{uuid.uuid4().hex}")
    shutil.copy2(path, copy)
    if not keep_times:
        os.utime(copy)
    copy.replace(path)
