"""What ``run()`` returned, as lines of the ``append_row_to`` file.

One line an element, the fields of an element apart by a space, no header: a DataFrame's rows as its
``to_csv`` writes them, the elements of a list, tuple or array as text.
"""

from __future__ import annotations

import csv
import io
from typing import Any

_REMEDY = "it has to return a list, tuple, array or DataFrame with one element for each success"


class Spool:
    """The file that takes the rows of one worker process; the driver decides which of them count.

    Args:
        path: made when the first row is written; None only counts.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._text: io.TextIOWrapper | None = None

    def keep(self, result: Any) -> tuple[int, int, int]:
        """How many elements ``result`` has, and the offset and length of its rows in bytes.

        Raises:
            TypeError: it is not something that has elements to count.
        """
        elements = _elements(result)
        if self._path is None:
            return len(elements), 0, 0
        text = self._open(self._path)
        start = text.tell()
        _write(elements, text)
        text.flush()
        return len(elements), start, text.tell() - start

    def _open(self, path: str) -> io.TextIOWrapper:
        if self._text is None:
            binary = open(path, "ab", buffering=1 << 20)  # noqa: SIM115, PTH123 - open while it lives
            self._text = io.TextIOWrapper(
                binary, encoding="utf-8", errors="surrogateescape", newline=""
            )
        return self._text


def _elements(result: Any) -> Any:
    if hasattr(result, "to_csv"):  # pandas
        return result
    if hasattr(result, "to_pandas"):  # polars, pyarrow
        return result.to_pandas()
    if isinstance(result, (list, tuple)) or (hasattr(result, "ndim") and result.ndim > 0):
        return result
    raise TypeError(f"run() returned {type(result).__name__}; {_REMEDY}")


def _write(elements: Any, text: io.TextIOWrapper) -> None:
    if hasattr(elements, "to_csv"):
        elements.to_csv(text, sep=" ", header=False, index=False)
        return
    fields = csv.writer(text, delimiter=" ", lineterminator="\n")
    for element in elements:
        if isinstance(element, (list, tuple)) or getattr(element, "ndim", 0) > 0:
            fields.writerow(element)
        else:
            text.write(str(element))
            text.write("\n")
