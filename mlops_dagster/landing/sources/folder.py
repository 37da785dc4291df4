"""A folder of this machine.

Every scan walks the folder in the order of its names and looks at every file. No clock is asked
what is new: ``identity`` says which drop a file is, so that a file that is moved in with an old
time is new, and one that was restored from a backup is not. What does not touch the content
(permissions, links, owners) makes no new drop. Memory holds the names of one directory and of one
page at a time, and the walk goes on after the last path of a page.

A file is gone only where the folder itself is there. A folder that was there and is not any more,
such as a share that is not mounted, is unavailable.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from mlops_dagster.errors import StorageUnavailable
from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.sources.identity import (
    KnownFiles,
    digest_of,
    etag_among,
    is_file,
    plain_etag,
    signature,
)
from mlops_dagster.landing.sources.port import (
    UNSAFE_ETAG,
    FileChanged,
    FileGone,
    FileRefused,
    Page,
    escaped_name,
    refuse_unsafe,
)
from mlops_dagster.landing.values import Drop, Reason
from mlops_dagster.system.files import writing

_PAGE = 1_000
_CHUNK = 1 << 20
# The cursor of a folder that has never been there.
_ABSENT = json.dumps(None)

Marker = tuple[str, datetime]


class FolderSource:
    """Watches a folder, at any depth.

    Args:
        folder: need not exist yet.
        known: what is remembered from one look to the next; None remembers nothing.
    """

    def __init__(self, folder: Path, selection: Selection, known: KnownFiles | None = None) -> None:
        self.folder = folder.absolute()
        self._selection = selection
        self._known = known

    @property
    def identity(self) -> str:
        return f"folder:{self.folder}"

    @property
    def is_cheap(self) -> bool:
        return True

    def scan(self, cursor: str | None, until: float) -> Iterator[Page]:
        if not self.folder.is_dir():
            yield self._absent(cursor)
            return
        files = self._files("", json.loads(cursor) if cursor else None)
        while True:
            paths = list(islice(files, _PAGE))
            page = self._page(paths, until)
            yield page
            if page.complete or time.monotonic() > until:
                return

    def accept(self, page: Page) -> None:
        """Nothing to give back."""

    def fetch(self, drop: Drop, to: Path) -> None:
        refuse_unsafe(drop)
        file = self._open(drop.path)
        try:
            before = os.fstat(file)
            if not is_file(before):
                raise FileRefused(Reason.OUTSIDE, "it is not a file but a device, pipe or folder")
            self._refuse_change(drop, file, before)
            digest = self._copy(file, to)
            # A writer that was at work while we read has left its mark on the times.
            after = os.fstat(file)
            if signature(after) != signature(before):
                raise FileChanged(self._drop(drop.path, after, lambda: digest_of(file)))
            self._refuse_copy(drop, digest)
        except OSError as error:
            raise _unreadable(self.folder / drop.path, error) from error
        finally:
            os.close(file)
        if self._known is not None:
            self._known.remember_digest(drop.id, digest)

    def _absent(self, cursor: str | None) -> Page:
        """The page of a folder that is not there; it is unavailable where it once was there."""
        if cursor is None or cursor == _ABSENT:
            return Page((), _ABSENT, complete=True)
        raise StorageUnavailable(
            f"The folder {self.folder} is not there any more.",
            remedy="Mount it or make it again; what was dropped there is waited for.",
        )

    def _page(self, files: Sequence[tuple[str, os.DirEntry[str]]], until: float) -> Page:
        """The page of these files, or of the first of them where the time is up."""
        names = [path for path, _ in files if escaped_name(path) is None]
        known = self._known.last_seen(names) if self._known is not None else {}
        drops: list[Drop] = []
        markers: list[Marker] = []
        fresh: list[tuple[str, str, str]] = []
        cursor, complete = "", len(files) < _PAGE
        for path, entry in files:
            with suppress(FileNotFoundError):
                self._add(path, entry.stat(follow_symlinks=False), known, drops, markers, fresh)
            if time.monotonic() > until:
                cursor, complete = json.dumps(path), False
                break
        if not complete and not cursor:
            cursor = json.dumps(files[-1][0])
        if self._known is not None and fresh:
            self._known.remember(fresh)
        return Page(tuple(drops), cursor, complete, tuple(markers))

    def _add(
        self,
        path: str,
        status: os.stat_result,
        known: Mapping[str, tuple[str, str]],
        drops: list[Drop],
        markers: list[Marker],
        fresh: list[tuple[str, str, str]],
    ) -> None:
        folder = self._selection.marked_folder(path)
        if folder is not None:
            markers.append((folder, _changed_at(status)))
        elif not self._selection.includes(path):
            return
        elif safe := escaped_name(path):
            etag = UNSAFE_ETAG + plain_etag(status)
            drops.append(Drop(safe, etag, status.st_size, _changed_at(status)))
        elif path in known and known[path][0] == signature(status):
            drops.append(Drop(path, known[path][1], status.st_size, _changed_at(status)))
        else:
            drop = self._drop(path, status, lambda: self._digest(path))
            drops.append(drop)
            fresh.append((path, signature(status), drop.etag))

    def _drop(self, path: str, status: os.stat_result, digest: Callable[[], str | None]) -> Drop:
        """The drop that a file is."""
        etag = plain_etag(status)
        if self._known is not None:
            etag = etag_among(self._known.versions(path, status.st_size), status, digest)
        return Drop(path, etag, status.st_size, _changed_at(status))

    def _digest(self, path: str) -> str | None:
        """The digest of a file as it is now; None where it is none or cannot be read."""
        try:
            file = self._open(path)
        except (FileGone, FileRefused, StorageUnavailable):
            return None
        try:
            return digest_of(file) if is_file(os.fstat(file)) else None
        except OSError:
            return None
        finally:
            os.close(file)

    def _refuse_change(self, drop: Drop, file: int, status: os.stat_result) -> None:
        """Raise FileChanged where the open file is not the drop."""
        if self._known is not None:
            known = self._known.last_seen([drop.path]).get(drop.path)
            if known == (signature(status), drop.etag):
                return
        current = self._drop(drop.path, status, lambda: digest_of(file))
        if current.etag != drop.etag:
            raise FileChanged(current)

    def _refuse_copy(self, drop: Drop, digest: str) -> None:
        """Raise FileChanged where the bytes are those of another drop of the path that was read.

        Such a file was written again while that drop was being read.
        """
        versions = self._known.versions(drop.path, drop.size) if self._known is not None else []
        for each in versions:
            if each.digest == digest and each.etag != drop.etag:
                raise FileChanged(replace(drop, etag=each.etag))

    def _copy(self, file: int, to: Path) -> str:
        """Copy an open file; the digest of its bytes."""
        content = hashlib.sha256()
        with writing(to):
            target = to.open("xb")
        with target:
            while chunk := os.read(file, _CHUNK):
                content.update(chunk)
                with writing(to):
                    target.write(chunk)
            with writing(to):
                target.flush()
        return content.hexdigest()

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
                raise FileGone from error
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise FileRefused(Reason.OUTSIDE, "it is, or lies behind, a link") from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.ENXIO):
                detail = f"it cannot be opened: {error.strerror}"
                raise FileRefused(Reason.UNREADABLE, detail) from error
            raise _unreadable(self.folder / path, error) from error
        finally:
            os.close(here)


def _changed_at(status: os.stat_result) -> datetime:
    # The time of change is set by the machine alone; a copy may bring any other along.
    return datetime.fromtimestamp(status.st_ctime, UTC)


def _unreadable(place: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"{place} cannot be read: {error.strerror}.",
        remedy="Check its permissions, and that what it lies on is mounted.",
    )
