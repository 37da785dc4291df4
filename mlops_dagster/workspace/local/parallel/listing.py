"""The files of an input in a stable order, one after the other, in memory that does not grow."""

from __future__ import annotations

import heapq
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mlops_dagster.errors import InvalidRequest

_NAMES_IN_MEMORY = 20_000


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the input.

    Attributes:
        relative: its path below the input, with ``/``.
        stamp: changes when the content does: size and time of the last change.
    """

    path: str
    relative: str
    size: int
    stamp: str


def files_below(root: Path) -> Iterator[InputFile]:
    """Every file below a folder, folder by folder, by name; a file is itself.

    Raises:
        InvalidRequest: a link in it leads out of it, or round in a circle.
    """
    if root.is_file():
        yield _input_file(str(root), root.name, root.stat())
        return
    yield from _walk(os.path.realpath(root), "", str(root), frozenset())


def _walk(root: str, relative: str, folder: str, above: frozenset[str]) -> Iterator[InputFile]:
    real = os.path.realpath(folder)
    if real in above:
        raise InvalidRequest(
            f"The link {relative.rstrip('/')!r} in the input leads to a folder above."
        )
    for name in _sorted_names(folder):
        path = f"{folder}/{name}"
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            found = _linked(root, path, relative + name)
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(root, f"{relative}{name}/", path, above | {real})
        elif stat.S_ISREG(found.st_mode):
            yield _input_file(path, relative + name, found)


def _sorted_names(folder: str) -> Iterator[str]:
    """Names in order; a folder of many is sorted in runs that are kept on disk and merged."""
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries)
        first = sorted(islice(names, _NAMES_IN_MEMORY))
        if len(first) < _NAMES_IN_MEMORY:
            yield from first
            return
        with tempfile.TemporaryFile("w+b") as runs:
            yield from heapq.merge(*_spilled_runs(first, names, runs.fileno()))


def _spilled_runs(first: list[str], rest: Iterator[str], descriptor: int) -> list[Iterator[str]]:
    runs = []
    start = 0
    run = first
    while run:
        body = b"".join(os.fsencode(name) + b"\0" for name in run)
        os.pwrite(descriptor, body, start)
        runs.append(_names_at(descriptor, start, start + len(body)))
        start += len(body)
        run = sorted(islice(rest, _NAMES_IN_MEMORY))
    return runs


def _names_at(descriptor: int, start: int, end: int) -> Iterator[str]:
    held = b""
    while start < end:
        block = os.pread(descriptor, min(1 << 14, end - start), start)
        start += len(block)
        *names, held = (held + block).split(b"\0")
        yield from map(os.fsdecode, names)


def _linked(root: str, path: str, relative: str) -> os.stat_result:
    target = os.path.realpath(path)
    if os.path.commonpath([root, target]) != root:
        raise InvalidRequest(
            f"The link {relative!r} in the input leads out of it.",
            remedy="Put the file itself there, or make its folder the input.",
        )
    try:
        return Path(path).stat()
    except OSError:
        raise InvalidRequest(f"The link {relative!r} in the input leads nowhere.") from None


def _input_file(path: str, relative: str, found: os.stat_result) -> InputFile:
    return InputFile(path, relative, found.st_size, f"{found.st_size}-{found.st_mtime_ns}")
