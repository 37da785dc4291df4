"""Which drop a file in a folder is: by its path, size and times; by its content where they do not
settle it.

The etag of a file is its size and its time of modification. Each look compares the file's
signature (its size, inode, time of modification and time of change) with that of the last look.
The same signature is the same drop, and nothing is read. Where the path and size are known and the
signature is another one (the folder was restored from a backup or moved, the file was touched or
written again), the file is read and its SHA-256 digest decides. Every file gets its digest when it
is read to be scored:

- The same content under the same path is the same drop, whatever its times. It is not scored again.
- Other content is another drop, even with the same size and time.
- Of a drop without a digest (not read yet, or read by an older version or another machine), the
  same size and time of modification are taken for the same content.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

_CHUNK = 1 << 20
_DIGITS = 16


@dataclass(frozen=True)
class KnownVersion:
    """A drop of the path in question; ``digest`` is None where its bytes were not read here."""

    etag: str
    digest: str | None


class KnownFiles(Protocol):
    """What is remembered of files from one look to the next."""

    def last_seen(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """The signature that each path had when it was last seen, and the etag it stood for."""

    def versions(self, path: str, size: int) -> list[KnownVersion]:
        """The drops of a path that have this size, oldest first."""

    def remember(self, seen: Iterable[tuple[str, str, str]]) -> None:
        """Write down path, signature and etag of files that were seen."""

    def remember_digest(self, drop_id: str, digest: str) -> None:
        """Write down the digest of the bytes that were read of a drop."""


def plain_etag(status: os.stat_result) -> str:
    """The etag of a file whose path and size are not known yet."""
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def signature(status: os.stat_result) -> str:
    """What changes whenever the content may have changed; the machine alone sets ``st_ctime``."""
    return f"{plain_etag(status)}-{status.st_ino:x}-{status.st_ctime_ns:x}"


def etag_among(
    versions: Iterable[KnownVersion], status: os.stat_result, digest: Callable[[], str | None]
) -> str:
    """The etag of a file of which these drops, of its path and size, are known.

    Args:
        digest: of the file's content; None where it cannot be read. Called only where needed.
    """
    known = list(versions)
    plain = plain_etag(status)
    same_time = [each for each in known if f"{each.etag}-".startswith(f"{plain}-")]
    content = digest() if any(each.digest is not None for each in known) else None
    for each in known:
        if content is not None and each.digest == content:
            return each.etag
    for each in same_time:
        if content is None or each.digest is None:
            return each.etag
    return f"{plain}-{str(content)[:_DIGITS]}" if same_time else plain


def digest_of(file: int) -> str:
    """The SHA-256 digest of an open file, from its start."""
    content = hashlib.sha256()
    place = 0
    while chunk := os.pread(file, _CHUNK, place):
        content.update(chunk)
        place += len(chunk)
    return content.hexdigest()


def is_file(status: os.stat_result) -> bool:
    """Whether it is a file, not a link, device, pipe or folder."""
    return stat.S_ISREG(status.st_mode)
