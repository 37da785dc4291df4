"""What a source promises.

Everything that lies, or comes to lie, in the place long enough for a scan to begin and end is
handed out at least once; the ledger drops what it knows. A scan answers in pages, each with the
cursor from which the next scan goes on, so that a caller may stop after any page, or die.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from mlops_dagster.landing.values import Drop, Reason, Refusal

# Before the etag of a drop whose name cannot be written down as it is; it is always refused.
UNSAFE_ETAG = "unsafe:"


@dataclass(frozen=True)
class Page:
    """A part of a scan.

    Attributes:
        drops: what counts, new or known.
        markers: folders whose marker was seen, each with the marker's time.
        cursor: where the next scan goes on; at most a few hundred characters.
        complete: nothing is left to look at for now.
        receipts: what ``accept`` needs.
        is_listing: what the page names was there when the page was made; an event only says that
            it once was.
    """

    drops: tuple[Drop, ...]
    cursor: str
    complete: bool
    markers: tuple[tuple[str, datetime], ...] = ()
    receipts: tuple[Any, ...] = ()
    is_listing: bool = True


class Source(Protocol):
    """A place where files land."""

    @property
    def identity(self) -> str:
        """Names the place and the way it is watched; cursors are kept under it."""

    @property
    def is_cheap(self) -> bool:
        """Whether a scan that finds nothing costs so little that one may follow the other at once."""

    def scan(self, cursor: str | None, until: float) -> Iterator[Page]:
        """Pages from ``cursor`` on (None: from the start), no new one after ``until``.

        At least one page is handed out however little time is left, so that every scan gets
        somewhere. ``until`` is on ``time.monotonic``'s clock. Raises StorageUnavailable.
        """

    def accept(self, page: Page) -> None:
        """To be called when all that a page says has been written down."""

    def fetch(self, drop: Drop, to: Path) -> None:
        """Write the drop's bytes, exactly those of its etag, to the new file ``to``.

        Raises FileGone, FileChanged, FileRefused or StorageUnavailable; ``to`` may then hold a part.
        """


class FileGone(Exception):
    """The file was deleted."""


class FileChanged(Exception):
    """The file has another etag by now, which is a drop of its own: ``current``."""

    def __init__(self, current: Drop) -> None:
        super().__init__(f"{current.path} is {current.etag} now")
        self.current = current


class FileRefused(Exception):
    """The file is not to be read."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, detail)


def escaped_name(name: str) -> str | None:
    """None where the name can be stored as text; else a form of it that can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "backslashreplace").decode()
    return None


def refuse_unsafe(drop: Drop) -> None:
    """Raise FileRefused for a name that climbs out of its place or cannot be a file's name."""
    parts = drop.path.replace("\\", "/").split("/")
    if drop.etag.startswith(UNSAFE_ETAG):
        raise FileRefused(Reason.UNSAFE_NAME, "its name is not valid Unicode")
    if ".." in parts or drop.path.startswith("/") or "\0" in drop.path:
        raise FileRefused(Reason.UNSAFE_NAME, f"its name climbs out of the folder: {drop.path!r}")
