"""The files below a folder, in a stable order, with a stated rule for links."""

from __future__ import annotations

import heapq
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Literal

from mlops_dagster.errors import InvalidRequest

_NAMES_IN_MEMORY = 20_000


class Links(Enum):
    """What becomes of symbolic links below the folder.

    Attributes:
        SKIP: they are passed over.
        INSIDE: they are followed where they stay inside the folder, and refused elsewhere.
        FOLLOW: they are followed wherever they lead.
    """

    SKIP = "skip"
    INSIDE = "inside"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a folder, or an empty folder.

    Attributes:
        name: relative to the folder, with ``/``; an empty folder's ends with ``/``, and the name
            of a root that is a file is empty.
        path: where it lies, below the folder.
        real: where its content lies; differs from ``path`` where that is, or lies behind, a link.
        status: of its content.
    """

    name: str
    path: str
    real: str
    status: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Whether it is an empty folder."""
        return self.name.endswith("/")


def walk(
    root: Path,
    *,
    links: Links,
    leave_out: Callable[[str], bool] = lambda _: False,
    empty_folders: bool = False,
    special: Literal["refuse", "skip"] = "refuse",
) -> Iterator[Entry]:
    """Every file below ``root``, folder by folder, by name; ``root`` itself where it is a file.

    Memory does not grow with the number of files. ``root`` may be a link.

    Args:
        leave_out: whether the file or folder of this name is passed over; a folder's ends with
            ``/``. Asked before a link is followed.
        empty_folders: whether empty folders are given as well.
        special: what becomes of pipes, devices and the like.

    Raises:
        InvalidRequest: a link leads to nothing, around in a circle or, with ``Links.INSIDE``,
            outside; or there is something that is neither a file nor a folder. The message names it.
        OSError: there is no ``root``, or it cannot be read.
    """
    status = root.stat()
    real = os.path.realpath(root)
    walker = _Walker(real, links, leave_out, empty_folders, special)
    if stat.S_ISDIR(status.st_mode):
        yield from walker.below(str(root), real, "", frozenset())
    elif stat.S_ISREG(status.st_mode):
        yield Entry("", str(root), real, status)
    elif special == "refuse":
        raise _neither(str(root))


@dataclass(frozen=True)
class _Walker:
    root: str
    links: Links
    leave_out: Callable[[str], bool]
    empty_folders: bool
    special: Literal["refuse", "skip"]

    def below(self, folder: str, real: str, prefix: str, above: frozenset[str]) -> Iterator[Entry]:
        around = above | {real}
        is_empty = True
        for name in _sorted_names(folder):
            is_empty = False
            yield from self._entry(prefix + name, f"{folder}/{name}", f"{real}/{name}", around)
        if is_empty and prefix and self.empty_folders:
            yield Entry(prefix, folder, real, Path(folder).stat())

    def _entry(self, name: str, path: str, real: str, around: frozenset[str]) -> Iterator[Entry]:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            if self.links is Links.SKIP:
                return
            try:
                status = os.stat(path)  # noqa: PTH116 - 50,000 of them
            except OSError:
                if not self.leave_out(name):
                    raise _astray(path, "to nothing") from None
                return
            real = os.path.realpath(path)
        is_folder = stat.S_ISDIR(status.st_mode)
        if self.leave_out(f"{name}/" if is_folder else name):
            return
        if self.links is Links.INSIDE and not _lies_in(real, self.root):
            raise InvalidRequest(
                f"The link {path} leads outside of {self.root}, to {real}.",
                remedy="Put a copy in its place.",
            )
        if is_folder:
            if real in around:
                raise _astray(path, "around in a circle")
            yield from self.below(path, real, f"{name}/", around)
        elif stat.S_ISREG(status.st_mode):
            yield Entry(name, path, real, status)
        elif self.special == "refuse":
            raise _neither(path)


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/") or path == folder


def _astray(link: str, where: str) -> InvalidRequest:
    return InvalidRequest(f"The link {link} leads {where}.", remedy="Remove it.")


def _neither(path: str) -> InvalidRequest:
    return InvalidRequest(f"{path} is neither a file nor a folder.", remedy="Remove it.")


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
