"""The files of an input in a stable order, one after the other, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.system.walk import Links, walk


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
        InvalidRequest: a link in it leads out of it, to nothing, or around in a circle.
    """
    for entry in walk(root, links=Links.INSIDE, special="skip"):
        size, changed = entry.status.st_size, entry.status.st_mtime_ns
        yield InputFile(entry.path, entry.name or root.name, size, f"{size}-{changed}")
