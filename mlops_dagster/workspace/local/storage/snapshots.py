"""Code snapshots: a job runs a copy of its code, taken when it is submitted.

Left out is what the Azure tools leave out: what ``.amlignore`` in the code folder says, or else
``.gitignore``, and besides ``__pycache__`` and ``.git``; and a workspace's own ``.mlops`` folder.
Source: learn.microsoft.com/azure/machine-learning/how-to-save-write-experiment-files
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_dagster.errors import InvalidRequest, NotFound, WorkspaceUnavailable
from mlops_dagster.system import atomic
from mlops_dagster.system.files import mark_used
from mlops_dagster.system.walk import Links, walk
from mlops_dagster.workspace.local.ground.state import State

SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
  source BLOB PRIMARY KEY,
  stamp  TEXT NOT NULL,
  digest TEXT NOT NULL
) WITHOUT ROWID;
"""
_ALWAYS_LEFT_OUT = frozenset({".git", "__pycache__", ".mlops"})
# A file written a moment ago may be written again within one tick of the file system's clock.
_SETTLED_NS = 50_000_000


@dataclass(frozen=True)
class _Entry:
    name: str
    path: str
    size: int
    changed: int
    executable: bool


class Snapshots:
    """The code snapshots of one home, one copy a content."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._root = state.home / "snapshots"

    def take(self, source: Path, beside: Sequence[Path] = (), *, field: str = "code") -> str:
        """Copy a folder, or a single file, of code; returns the digest that names the copy.

        Args:
            beside: further files and folders that are laid into it, each under its own name.
            field: where the code is named, for a message.

        Raises NotFound where there is none, InvalidRequest for a link that leads nowhere or in a
        circle, WorkspaceUnavailable where the copy cannot be written.
        """
        for path in (source, *beside):
            if not path.exists():
                raise NotFound("code", str(path), remedy=f"Check {field}; it names a folder here.")
        found = {entry.name: entry for entry in _entries(source)}
        for path in beside:
            inside = f"{path.name}/" if path.is_dir() else ""
            found |= {inside + e.name: replace(e, name=inside + e.name) for e in _entries(path)}
        entries = [found[name] for name in sorted(found)]
        origin = b"\0".join(os.fsencode(path) for path in (source, *beside))
        digest = self._digest(origin, entries)
        target = self.path(digest)
        if not mark_used(target):
            self._copy(entries, target)
        return digest

    def path(self, digest: str) -> Path:
        """Where the snapshot of a digest lies."""
        return self._root / digest.removeprefix("sha256:")

    def unpack(self, digest: str, to: Path) -> None:
        """Make ``to``, a fresh folder, hold a snapshot's files; writing there changes nothing here.

        Raises NotFound for a snapshot that was removed since; see ``retention``.
        """
        if not self.path(digest).exists():
            raise NotFound("code snapshot", digest, remedy="Submit the job again, from its file.")
        shutil.copytree(self.path(digest), to, copy_function=shutil.copy2, dirs_exist_ok=True)

    def _digest(self, source: bytes, entries: list[_Entry]) -> str:
        stamp = _digest_of(f"{e.name}\0{e.size}\0{e.changed}\0{e.executable}" for e in entries)
        with self._state.read() as connection:
            known = connection.execute(
                "SELECT digest FROM snapshots WHERE source = ? AND stamp = ?", (source, stamp)
            ).fetchone()
        if known is not None and self.path(known["digest"]).exists():
            return str(known["digest"])
        newest = max((entry.changed for entry in entries), default=0)
        settled = newest < time.time_ns() - _SETTLED_NS
        digest = _digest_of(f"{e.name}\0{e.executable}\0{_content(e.path)}" for e in entries)
        if settled:
            with self._state.write() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
                    (source, stamp, digest),
                )
        return digest

    def _copy(self, entries: list[_Entry], target: Path) -> None:
        staged = self._root / f".{uuid.uuid4().hex}"
        try:
            staged.mkdir(parents=True)
            made = {staged}
            for entry in entries:
                file = staged / entry.name
                if file.parent not in made:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    made.add(file.parent)
                shutil.copy2(entry.path, file)
                file.chmod(0o755 if entry.executable else 0o644)
            _check_unchanged(entries)
            atomic.move(staged, target)
        except OSError as error:
            raise WorkspaceUnavailable(
                f"The code could not be copied to {self._root}: {error}.",
                remedy="Check its permissions and the free space, or what is in the code folder.",
            ) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _check_unchanged(entries: list[_Entry]) -> None:
    for entry in entries:
        status = os.stat(entry.path)  # noqa: PTH116 - 50,000 of them
        if (status.st_size, status.st_mtime_ns) != (entry.size, entry.changed):
            raise InvalidRequest(
                f"{entry.path} was written to while the code was copied.",
                remedy="Submit again when it is whole.",
            )


def _entries(source: Path) -> Iterator[_Entry]:
    ignored = _ignore_rule(source)

    def leave_out(name: str) -> bool:
        return name.rstrip("/").rpartition("/")[2] in _ALWAYS_LEFT_OUT or ignored(name)

    try:
        for entry in walk(source, links=Links.FOLLOW, leave_out=leave_out):
            status = entry.status
            executable = bool(status.st_mode & stat.S_IXUSR)
            name = entry.name or source.name
            yield _Entry(name, entry.path, status.st_size, status.st_mtime_ns, executable)
    except InvalidRequest as error:
        message = f"The code cannot be copied: {error.message}"
        raise InvalidRequest(message, remedy="Remove it, or name it in .amlignore.") from None


def _ignore_rule(source: Path) -> Callable[[str], bool]:
    """Whether ``.amlignore`` leaves a name out, or else ``.gitignore``."""
    for name in (".amlignore", ".gitignore"):
        file = source / name
        if file.is_file():
            from pathspec import GitIgnoreSpec

            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            return GitIgnoreSpec.from_lines(lines).match_file
    return lambda _: False


def _content(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - 50,000 of them
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(parts: Iterable[str]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode(errors="surrogateescape"))
        whole.update(b"\n")
    return f"sha256:{whole.hexdigest()}"
