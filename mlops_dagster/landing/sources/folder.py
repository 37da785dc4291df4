"""A folder of this machine.

Every scan walks the folder in the order of its names and looks at every file. What is new is a
matter of ids alone, no clock is asked: a file that is moved in with an old time is a path that
nobody has seen, and one that replaces another has another inode, size or time of modification. What
does not touch the content (permissions, links, owners) makes no new drop. Memory holds the names of
one directory at a time, and the walk goes on after the last path of a page.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlops_dagster.errors import StorageUnavailable
from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.sources.port import (
    UNSAFE_ETAG,
    Changed,
    Gone,
    Page,
    Refused,
    refuse_unsafe,
    writable_name,
)
from mlops_dagster.landing.values import Drop, Reason

_PAGE = 1_000
_CHUNK = 1 << 20


class FolderSource:
    """Watches a folder, at any depth.

    Args:
        folder: need not exist yet.
    """

    def __init__(self, folder: Path, selection: Selection) -> None:
        self.folder = folder.absolute()
        self._selection = selection

    @property
    def identity(self) -> str:
        return f"folder:{self.folder}"

    @property
    def is_cheap(self) -> bool:
        return True

    def scan(self, cursor: str | None, until: float) -> Iterator[Page]:
        after = json.loads(cursor) if cursor else None
        drops: list[Drop] = []
        markers: list[tuple[str, datetime]] = []
        looked_at = 0
        for path, entry in self._files("", after):
            looked_at += 1
            with suppress(FileNotFoundError):
                self._sort_in(path, entry, drops, markers)
            if looked_at >= _PAGE or time.monotonic() > until:
                yield Page(tuple(drops), json.dumps(path), False, tuple(markers))
                if time.monotonic() > until:
                    return
                drops, markers, looked_at = [], [], 0
        yield Page(tuple(drops), "", True, tuple(markers))

    def accept(self, page: Page) -> None:
        """Nothing to give back."""

    def fetch(self, drop: Drop, to: Path) -> None:
        refuse_unsafe(drop)
        source = self._open(drop.path)
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                raise Refused(Reason.OUTSIDE, "it is not a file but a device, pipe or folder")
            if _etag(found) != drop.etag:
                raise Changed(_drop(drop.path, found))
            with to.open("xb") as target:
                while chunk := os.read(source, _CHUNK):
                    target.write(chunk)
            # A writer that was at work while we read has left its mark on the times.
            found = os.fstat(source)
            if _etag(found) != drop.etag:
                raise Changed(_drop(drop.path, found))
        finally:
            os.close(source)

    def _files(self, folder: str, after: str | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What lies below ``folder``, by path, from the first path after ``after`` on."""
        try:
            with os.scandir(self.folder / folder) as listing:
                entries = {entry.name: entry for entry in listing}
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _unreadable(self.folder / folder, error) from error
        for name in sorted(entries):
            path = f"{folder}{name}"
            if entries[name].is_dir(follow_symlinks=False):
                inside = f"{path}/"
                if after is None or after.startswith(inside):
                    yield from self._files(inside, after)
                    after = None
                elif name > after[len(folder) :].partition("/")[0]:
                    yield from self._files(inside, None)
            elif after is None or name > after[len(folder) :].partition("/")[0]:
                yield path, entries[name]

    def _sort_in(
        self,
        path: str,
        entry: os.DirEntry[str],
        drops: list[Drop],
        markers: list[tuple[str, datetime]],
    ) -> None:
        folder = self._selection.marked_folder(path)
        if folder is None and not self._selection.counts(path):
            return
        drop = _drop(path, entry.stat(follow_symlinks=False))
        if folder is not None:
            markers.append((folder, drop.at))
        elif safe := writable_name(path):
            drops.append(replace(drop, path=safe, etag=UNSAFE_ETAG + drop.etag))
        else:
            drops.append(drop)

    def _open(self, path: str) -> int:
        """Open a file without following a link at any part of its path."""
        *folders, name = path.split("/")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            here = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except OSError as error:
            raise _unreadable(self.folder, error) from error
        try:
            for folder in folders:
                inner = os.open(folder, flags | os.O_DIRECTORY, dir_fd=here)
                os.close(here)
                here = inner
            # A pipe must not keep us waiting for its writer.
            return os.open(name, flags | os.O_NONBLOCK, dir_fd=here)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise Gone from error
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise Refused(Reason.OUTSIDE, "it is, or lies behind, a link") from error
            raise Refused(Reason.UNREADABLE, f"it cannot be opened: {error.strerror}") from error
        finally:
            os.close(here)


def _drop(path: str, found: os.stat_result) -> Drop:
    # The time of change is set by the machine alone; a copy may bring any other along.
    at = datetime.fromtimestamp(found.st_ctime, UTC)
    return Drop(path, _etag(found), found.st_size, at)


def _unreadable(folder: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"The folder {folder} cannot be read: {error.strerror}.", remedy="Check its permissions."
    )


def _etag(found: os.stat_result) -> str:
    return f"{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ino:x}"
