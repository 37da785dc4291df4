"""Reads files to see whether they can be read: a program of its own, so that it may die of them.

Run by path, without the package: one JSON object a line comes in (``path``, ``suffix``,
``columns``, ``memory``), one goes out: ``{"rows": 3}`` or ``{"problem": "..."}``.
"""

from __future__ import annotations

import io
import json
import os
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

_HEADER = 1 << 20
_BLOCK = 4 << 20
_ROWS = 1 << 14
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF file",
    b"\xff\xfe": "UTF-16 text; UTF-8 is expected",
    b"\xfe\xff": "UTF-16 text; UTF-8 is expected",
}


class Unreadable(Exception):
    """What is wrong with a file, in a few words."""


def main() -> None:
    """Answer every request on stdin, in order."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    # What a library prints must not look like an answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    # Loaded now, so that they do not count as a file's memory.
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    limited = False
    for line in sys.stdin:
        request = json.loads(line)
        if not limited:
            _limit(request["memory"])
            limited = True
        answers.write(json.dumps(_answer(request)) + "\n")


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Callable[[Path, int], int]] = {
        ".parquet": _parquet,
        ".csv": _csv,
    }
    try:
        return {"rows": read[request["suffix"]](Path(request["path"]), request["columns"])}
    except Unreadable as problem:
        return {"problem": str(problem)}
    except MemoryError:
        return {"problem": "reading it takes more memory than a drop may take"}
    except Exception as error:  # noqa: BLE001 - whatever a hostile file makes a parser raise
        said = (str(error).strip().splitlines() or ["no message"])[0]
        return {"problem": f"{type(error).__name__}: {said[:300]}"}


def _parquet(path: Path, columns: int) -> int:
    from pyarrow import parquet

    with parquet.ParquetFile(path, page_checksum_verification=True) as file:
        found = file.metadata.num_columns
        if not 0 < found <= columns:
            raise Unreadable(f"it has {found:,} columns")
        # Everything is decoded: the footer of a damaged file may be whole.
        rows = sum(len(batch) for batch in file.iter_batches(_ROWS, use_threads=False))
        if rows != file.metadata.num_rows:
            raise Unreadable(f"it holds {rows:,} rows and says {file.metadata.num_rows:,}")
    return rows


def _csv(path: Path, columns: int) -> int:
    from pyarrow import csv, string

    _refuse_foreign(path)
    with path.open("rb") as file:
        header = file.readline(_HEADER)
    if len(header) == _HEADER or header.count(b",") >= columns:
        raise Unreadable("its header names too many columns")
    parse = csv.ParseOptions(newlines_in_values=True)
    read = csv.ReadOptions(use_threads=False, block_size=_BLOCK)
    with csv.open_csv(path, read_options=read, parse_options=parse) as reader:
        names = reader.schema.names
    if len(names) > columns:
        raise Unreadable(f"it has {len(names):,} columns")
    as_text = csv.ConvertOptions(column_types=dict.fromkeys(names, string()))
    end = uuid.uuid4().hex
    line = f"\n{','.join([end] * len(names))}\n".encode()
    rows, last = 0, None
    with (
        path.open("rb") as file,
        csv.open_csv(
            _WithEnd(file, line), read_options=read, parse_options=parse, convert_options=as_text
        ) as reader,
    ):
        for batch in reader:
            rows += len(batch)
            last = batch.slice(len(batch) - 1) if len(batch) else last
    # An open quote takes in all that comes after it, and no reader says so.
    if last is None or {value for column in last.columns for value in column.to_pylist()} != {end}:
        raise Unreadable("a quoted field is open at its end: it was cut, or a quote is missing")
    return rows - 1


class _WithEnd(io.RawIOBase):
    """A file with a line after it."""

    def __init__(self, file: BinaryIO, line: bytes) -> None:
        self._file = file
        self._line = line

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not (content := self._file.read(size)):
            content, self._line = self._line, b""
        return content


def _refuse_foreign(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(1 << 16)
    for magic, kind in _FOREIGN.items():
        if start.startswith(magic):
            raise Unreadable(f"its content is {kind}")
    if b"\0" in start:
        raise Unreadable("its content is not text")


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows; the time limit stands
        return
    page_size = os.sysconf("SC_PAGE_SIZE")
    used = 0
    with suppress(OSError):  # only Linux tells; elsewhere the limit is on everything
        used = int(Path("/proc/self/statm").read_text().split()[0]) * page_size
    for kind, bound in (("AS", used + memory), ("FSIZE", 0), ("CORE", 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (bound, bound))


if __name__ == "__main__":
    main()
