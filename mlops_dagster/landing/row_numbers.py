"""The numbers of a file's rows, counted from 0, and whether each of them was met once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from pyarrow import Array

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

_NAMED = 3


class RowTally:
    """Which rows of a file were met.

    Attributes:
        rows: how many the file has.
        count: how many were met, those that were met before included.
        unnumbered: how many of them had no number.
        doubled: the numbers that were met again.
        unknown: the numbers that are none of the file's.
    """

    def __init__(self, rows: int) -> None:
        import numpy as np

        self.rows = rows
        self.count = 0
        self.unnumbered = 0
        self.doubled: list[int] = []
        self.unknown: list[int] = []
        self._met = np.zeros(rows, dtype=bool)

    def add(self, column: Array) -> None:
        """Meet the rows with these numbers, 64-bit integers."""
        import numpy as np

        self.count += len(column)
        self.unnumbered += column.null_count
        numbers = column.drop_null().to_numpy()
        is_known = (numbers >= 0) & (numbers < self.rows)
        self.unknown += numbers[~is_known].tolist()
        found, times = np.unique(numbers[is_known], return_counts=True)
        self.doubled += found[(times > 1) | self._met[found]].tolist()
        self._met[found] = True

    @property
    def missing(self) -> Numbers:
        """The numbers that were not met."""
        import numpy as np

        return np.flatnonzero(~self._met)

    @property
    def problem(self) -> str | None:
        """Why it has not met every row once, in a few words; None where it has."""
        return ", ".join(self._problems()) or None

    def _problems(self) -> Iterator[str]:
        missing = self.missing
        if len(missing):
            yield f"{_rows(missing[:_NAMED].tolist(), len(missing))} missing"
        if self.doubled:
            yield f"{_rows(self.doubled[:_NAMED], len(self.doubled))} twice"
        if self.unknown:
            yield f"{_rows(self.unknown[:_NAMED], len(self.unknown))} not of the file"
        if self.unnumbered:
            yield f"{self.unnumbered:,} without a number"


def tally_rows(tallies: Mapping[str, RowTally], drops: Array, numbers: Array) -> None:
    """Meet rows of many drops; those of drops without a tally are passed over."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    names = list(tallies)
    found = compute.index_in(drops, value_set=pa.array(names, drops.type))
    places = compute.fill_null(found, len(names)).to_numpy()
    order = np.argsort(places, kind="stable")
    which, starts, counts = np.unique(places[order], return_index=True, return_counts=True)
    for place, start, count in zip(which.tolist(), starts, counts, strict=True):
        if place < len(names):
            tallies[names[place]].add(numbers.take(pa.array(order[start : start + count])))


def _rows(numbers: list[int], count: int) -> str:
    """``row 7``, or ``90 rows (1, 5, 7, ...)``."""
    if count == 1:
        return f"row {numbers[0]}"
    named = ", ".join(str(number) for number in numbers)
    return f"{count:,} rows ({named}{', ...' if count > _NAMED else ''})"
