"""Trees of files: what lies in one, a copy of it, and its way into place, whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable
from mlops_dagster.system.walk import Entry, Links, walk

_READ_ONLY_FOLDER = 0o555
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_ABANDONED_AFTER = 24 * 3600.0


def entries(root: Path) -> list[Entry]:
    """The files and empty folders below ``root``, sorted by name; ``root`` itself where a file.

    Links are followed where they stay inside ``root``; see ``walk`` for what is refused.
    """
    found = walk(root, links=Links.INSIDE, empty_folders=True)
    return sorted(found, key=lambda entry: entry.name)


def copy_tree(source: Path, target: Path, *, link: bool = False) -> None:
    """Copy a file or folder to ``target``, which must not exist; links become what they point to.

    Args:
        link: read-only files, which nobody changes, are hard-linked where the disk allows it.
    """
    found = entries(source)
    place = _link_or_copy_file if link else _copy_file
    target.parent.mkdir(parents=True, exist_ok=True)
    if len(found) == 1 and not found[0].name:
        place(found[0], target)
        return
    target.mkdir()
    made = {target}
    for entry in found:
        path = target / entry.name
        folder = path if entry.is_folder else path.parent
        if folder not in made:
            folder.mkdir(parents=True, exist_ok=True)
            made.add(folder)
        if folder is not path:
            place(entry, path)


def make_read_only(root: Path) -> None:
    """Take the write permission from the files of a tree that holds no links; folders keep it, so
    that the tree can be removed.
    """
    if root.is_dir():
        for folder, _, names in os.walk(root):
            for name in names:
                _protect(os.path.join(folder, name))  # noqa: PTH118 - 50,000 of them
    else:
        _protect(os.fspath(root))


def make_folders_read_only(root: Path) -> None:
    """Let nothing be added to or taken from a folder and those below; ``remove_tree`` removes it."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(_READ_ONLY_FOLDER)


def is_read_only(root: Path) -> bool:
    """Whether no file of a tree can be written, as ``make_read_only`` leaves it."""
    found = walk(root, links=Links.INSIDE)
    return not any(is_writable(entry.status) for entry in found)


def is_writable(status: os.stat_result) -> bool:
    """Whether anybody but root may write to a file."""
    return bool(status.st_mode & _WRITE_BITS)


def replace_links(root: Path) -> None:
    """Put in place of every link below ``root`` a copy of what it points to.

    Raises InvalidRequest, by name, for a link that leads nowhere, to a folder around it, or to what
    is neither a file nor a folder.
    """
    _make_folders_writable(root)
    for link in _links(root):
        _replace_link(link, root)


def keep_only_files(root: Path) -> list[str]:
    """Make ``root`` hold files and folders alone; returns why something was removed, a line each.

    A link becomes a copy of what it points to. What cannot be copied, a pipe or a device goes.
    """
    _make_folders_writable(root)
    removed = []
    for link in _links(root):
        try:
            _replace_link(link, root)
        except (InvalidRequest, OSError) as problem:
            link.unlink(missing_ok=True)
            removed.append(problem.message if isinstance(problem, InvalidRequest) else str(problem))
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
                removed.append(f"{path.relative_to(root)} is neither a file nor a folder.")
    return removed


def remove(path: Path) -> None:
    """Remove a file or a folder; it is fine where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=False)
    else:
        path.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder, also one with folders that cannot be written, as far as that is possible."""
    with suppress(OSError):
        _make_folders_writable(folder)
    shutil.rmtree(folder, ignore_errors=True)


def mark_used(stamp: Path) -> bool:
    """Note that something is used now; False where it is not there.

    Args:
        stamp: the folder, or the file in it whose time says when it was used.
    """
    try:
        os.utime(stamp)
    except FileNotFoundError:
        return False
    except OSError:  # a disk that cannot be written, where nothing is removed either
        return stamp.exists()
    return True


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A fresh folder in ``folder``, removed at the end; what a killed process left goes as well."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        with suppress(FileNotFoundError):  # another process has just come to its end
            if left.stat().st_mtime < time.time() - _ABANDONED_AFTER:
                shutil.rmtree(left, ignore_errors=True)
    place = folder / uuid.uuid4().hex
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Say a full disk, a missing permission and the like as what they are.

    Raises WorkspaceUnavailable in place of OSError.
    """
    try:
        yield
    except OSError as error:
        raise WorkspaceUnavailable(
            f"{error.filename or place} cannot be written: {error.strerror or error}.",
            remedy=f"Check the permissions and the free space of {place}.",
        ) from error


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """Say what the machine does not let us read as what it is: a wrong request.

    Raises InvalidRequest in place of OSError.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise InvalidRequest(
            f"{getattr(error, 'filename', None) or place} cannot be read: {said}.",
            remedy="Check the path and its permissions.",
        ) from error


def _make_folders_writable(root: Path) -> None:
    """Let what a folder holds be moved and removed; a copy of an input has folders that cannot be."""
    for folder, _, _ in os.walk(root):
        mode = os.stat(folder).st_mode  # noqa: PTH116 - of many
        if not mode & stat.S_IWUSR:
            os.chmod(folder, stat.S_IMODE(mode) | stat.S_IWUSR)  # noqa: PTH101


def _links(root: Path) -> list[Path]:
    """The links below ``root``, and ``root`` itself where it is one; none of them is followed."""
    if root.is_symlink():
        return [root]
    return [
        path
        for folder, folders, names in os.walk(root)
        for name in sorted([*folders, *names])
        if (path := Path(folder, name)).is_symlink()
    ]


def _replace_link(link: Path, root: Path) -> None:
    target = Path(os.path.realpath(link))
    name = link.relative_to(root) if link != root else link.name
    if not target.exists() or Path(os.path.realpath(link.parent)).is_relative_to(target):
        where = "around in a circle" if target.exists() else "to nothing"
        raise InvalidRequest(
            f"The output holds a link {name} that leads {where}.",
            remedy="Write a file in its place.",
        )
    beside = link.with_name(f".{uuid.uuid4().hex}")
    try:
        copy_tree(target, beside)
    except BaseException:
        remove(beside)
        raise
    link.unlink()
    beside.rename(link)


def _copy_file(entry: Entry, target: Path) -> None:
    shutil.copyfile(entry.real, target)


def _link_or_copy_file(entry: Entry, target: Path) -> None:
    if not is_writable(entry.status):
        try:
            os.link(entry.real, target)
        except OSError:  # another disk, or one without hard links
            pass
        else:
            return
    shutil.copyfile(entry.real, target)


def _protect(path: str) -> None:
    mode = os.stat(path).st_mode  # noqa: PTH116 - 50,000 of them
    if mode & _WRITE_BITS:
        os.chmod(path, stat.S_IMODE(mode) & ~_WRITE_BITS)  # noqa: PTH101
