"""Outputs on their way into a datastore: their files are added to what lies there, all or none.

::

    .mlops/datastores/
      .lock                     held while files are added
      .publishing/ID/           an output that is being added
        target                  the folder that it is added to, relative to ``datastores``
        content/                what has not been moved there yet

An output that was decided on is added to its end by whoever looks next, if the process that began
is killed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.system import atomic
from mlops_dagster.system.walk import Entry, Links, walk


class Publisher:
    """Adds outputs to the datastores below a folder.

    Args:
        root: the folder of all datastores; exists.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pending = root / ".publishing"

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """As long as the block runs, no other process publishes, and nothing is half published."""
        from filelock import FileLock

        with FileLock(self._root / ".lock"):
            self._finish_all()
            yield

    def finish(self) -> None:
        """Let what another process publishes come to its end, or bring it there."""
        if self._pending_folders():
            with self.exclusively():
                pass

    def add(self, staged: Path, target: Path) -> None:
        """Move a file, or the files of a folder, to ``target``; what has the same name is replaced.

        To be called within ``exclusively``. ``staged`` holds no links. Raises InvalidRequest, and
        changes nothing, where a file would take the place of a folder or a folder that of a file.
        """
        _check_kinds(staged, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if staged.is_file() or not os.path.lexists(target):
            staged.replace(target)
            return
        pending = self._pending / uuid.uuid4().hex
        prepared = self._pending / f".{pending.name}"
        prepared.mkdir(parents=True)
        (prepared / "target").write_bytes(os.fsencode(target.relative_to(self._root)))
        staged.rename(prepared / "content")
        prepared.rename(pending)
        self._finish(pending)

    def _pending_folders(self) -> list[Path]:
        try:
            names = os.listdir(self._pending)  # noqa: PTH208 - at every look at a datastore
        except FileNotFoundError:
            return []
        return [self._pending / name for name in names if not name.startswith(".")]

    def _finish_all(self) -> None:
        for pending in self._pending_folders():
            self._finish(pending)

    def _finish(self, pending: Path) -> None:
        target = self._root / os.fsdecode((pending / "target").read_bytes())
        for entry in walk(pending / "content", links=Links.SKIP, empty_folders=True):
            place = target / entry.name
            if entry.is_folder:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                Path(entry.path).replace(place)
        # Renamed first: without its target, what is left could not be understood.
        atomic.remove_folder(pending)


def _check_kinds(staged: Path, target: Path) -> None:
    above = next(parent for parent in target.parents if os.path.lexists(parent))
    if not above.is_dir():
        raise _in_the_way(above, "a file", "a folder")
    if staged.is_file():
        if target.is_dir():
            raise _in_the_way(target, "a folder", "a file")
        return
    if os.path.lexists(target) and not target.is_dir():
        raise _in_the_way(target, "a file", "a folder")
    if target.is_dir():
        for entry in walk(staged, links=Links.SKIP, empty_folders=True):
            _check_entry(entry, target)


def _check_entry(entry: Entry, target: Path) -> None:
    path = target / entry.name
    if not entry.is_folder and path.is_dir():
        raise _in_the_way(path, "a folder", "a file")
    for folder in (path, *path.parents) if entry.is_folder else path.parents:
        if folder == target:
            break
        if os.path.lexists(folder) and not folder.is_dir():
            raise _in_the_way(folder, "a file", "a folder")


def _in_the_way(path: Path, there: str, output: str) -> InvalidRequest:
    return InvalidRequest(
        f"The output cannot be written: {path} is {there}, and the output has {output} there.",
        remedy="Choose another path for the output.",
    )
