"""Digests of files and trees, kept so that nothing is read twice."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from mlops_dagster.system.files import entries, is_writable
from mlops_dagster.system.walk import Entry
from mlops_dagster.workspace.local.ground.state import State

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file_digests (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID
"""
# A file written a moment ago may be written again within one tick of the file system's clock.
_SETTLED_NS = 50_000_000


class Digests:
    """Digests of what lies on this machine."""

    def __init__(self, state: State) -> None:
        self._state = state
        state.create(_SCHEMA)

    def digest(self, path: Path) -> str:
        """``sha256:...``: of a file's content, or of the names and contents below a folder.

        Raises InvalidRequest where the tree holds what has no content of its own (see
        ``files.entries``), FileNotFoundError where there is nothing.
        """
        found = entries(path)
        if len(found) == 1 and not found[0].name:
            return f"sha256:{self._content_digests(found, path)[0]}"
        whole = hashlib.sha256()
        for entry, content in zip(found, self._content_digests(found, path), strict=True):
            whole.update(f"{len(os.fsencode(entry.name))}:".encode())
            whole.update(os.fsencode(entry.name))
            whole.update(content.encode())
        return f"sha256:{whole.hexdigest()}"

    def _content_digests(self, found: list[Entry], root: Path) -> list[str]:
        known = self._cached(root.resolve())
        now = time.time_ns()
        learned: list[tuple[str, str, str]] = []
        digests = []
        for entry in found:
            if entry.is_folder:
                digests.append("")
                continue
            path, stamp = entry.real, _stamp(entry.status)
            stored = known.get(path)
            if stored is not None and stored[0] == stamp:
                digests.append(stored[1])
                continue
            digest = _sha256(Path(entry.real))
            digests.append(digest)
            if _changed_at(entry.status) < now - _SETTLED_NS:
                learned.append((path, stamp, digest))
        self._store([row for row in learned if _is_text(row[0])])
        return digests

    def _cached(self, root: Path) -> dict[str, tuple[str, str]]:
        path = os.fspath(root)
        if not _is_text(path):
            return {}
        query = (
            "SELECT path, stamp, digest FROM file_digests WHERE path = ? OR path BETWEEN ? AND ?"
        )
        # "0" is the character after "/": the range holds all that lies below the folder.
        with self._state.read() as connection:
            rows = connection.execute(query, (path, f"{path}/", f"{path}0")).fetchall()
        return {row["path"]: (row["stamp"], row["digest"]) for row in rows}

    def _store(self, learned: list[tuple[str, str, str]]) -> None:
        if learned:
            with self._state.write() as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO file_digests VALUES (?, ?, ?)", learned
                )


def _changed_at(status: os.stat_result) -> int:
    if is_writable(status):
        return max(status.st_mtime_ns, status.st_ctime_ns)
    return status.st_mtime_ns


def _stamp(status: os.stat_result) -> str:
    """What differs where the content may: a file is read again if only in doubt.

    The time of change is the machine's own, and tells new content that was given the size and time
    of the old one. A read-only file gets another one with every hard link, and is replaced if at
    all, which its number tells.
    """
    told_by = status.st_ctime_ns if is_writable(status) else status.st_ino
    return f"{status.st_size} {status.st_mtime_ns} {told_by}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_text(path: str) -> bool:
    """Whether SQLite can hold the name; a file name need not be UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
