"""Files and folders that appear, change and go whole or not at all, whoever looks meanwhile.

A process that is killed in between leaves a hidden file or folder beside the place, and nothing of
it in the place.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_BUFFER = 1 << 20
_LONGEST_NAME = 40  # characters, of at most four bytes each
# What a file system answers that has no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)


def write(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file in the place of what is there; see ``replacement``."""
    with replacement(path, durable=durable) as file:
        file.write(content)


@contextmanager
def replacement(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A file to be written; it takes the place of ``path`` when the block ends without an error.

    Args:
        durable: whether it must outlast a power cut once the block has ended.
    """
    beside = _beside(path)
    try:
        with beside.open("xb", buffering=_BUFFER) as file:
            yield file
            if durable:
                _sync(file)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def create(path: Path, content: bytes) -> bool:
    """Write a file where none is; False where one is, which stays. It outlasts a power cut.

    Of many processes and machines that create the same file, one does. The file system must have
    hard links.
    """
    beside = _beside(path)
    try:
        with beside.open("xb") as file:
            file.write(content)
            _sync(file)
        # Unlike a rename, a link never replaces what is there.
        path.hardlink_to(beside)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def move(staged: Path, target: Path) -> bool:
    """Move a file or folder to where none is; False where one is, which stays.

    An empty folder counts as none. Both must lie on one file system.
    """
    if staged.is_dir():
        try:
            staged.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                return False
            raise
        return True
    try:
        target.hardlink_to(staged)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            return False
        staged.rename(target)
    staged.unlink(missing_ok=True)
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder; at no time it is seen half-removed. It is fine where there is none."""
    aside = _beside(folder)
    with suppress(FileNotFoundError):
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:_LONGEST_NAME]}.{uuid.uuid4().hex}")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the name of a file durable; some network file systems cannot, and need not."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
