"""Which files count, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import translate
from functools import lru_cache

# What strftime writes for the parts of a date that a prefix may hold.
_DATE_PATTERNS = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}", "%H": r"\d{2}"}
_DATE_STEPS = {
    "%H": timedelta(hours=1),
    "%d": timedelta(days=1),
    "%m": timedelta(days=28),
    "%Y": timedelta(days=365),
}


# What arrives under an older date is found by the full listing that comes from time to time.
_LOOK_BACK = timedelta(days=3)


@dataclass(frozen=True)
class Selection:
    """The files of a folder or container that are drops.

    Names with a part that begins with ``_`` or ``.`` never are: they are markers and work files.

    Attributes:
        prefix: what the path begins with; may hold ``%Y``, ``%m``, ``%d``, ``%H``, such as
            ``flights/year=%Y/month=%m/``.
        suffixes: what it ends with, one of them; empty for any.
        pattern: a glob over the whole path, in which ``*`` also stands for ``/``; None for any.
        marker: the name of a file without which nothing in its folder and below counts, such as
            ``_SUCCESS``. A file counts when the marker is not older than it.
    """

    prefix: str = ""
    suffixes: tuple[str, ...] = ()
    pattern: str | None = None
    marker: str | None = None

    def includes(self, path: str) -> bool:
        """Whether the file at ``path`` is a drop."""
        if any(part.startswith(("_", ".")) and part != ".." for part in path.split("/")):
            return False
        if self.suffixes and not path.endswith(self.suffixes):
            return False
        if not _compiled_prefix(self.prefix).match(path):
            return False
        return self.pattern is None or _compiled_glob(self.pattern).match(path) is not None

    def marked_folder(self, path: str) -> str | None:
        """The folder (``""`` for the top) for which the file at ``path`` is the marker, if it is."""
        folder, _, name = path.rpartition("/")
        return folder if self.marker is not None and name == self.marker else None

    @property
    def fixed_prefix(self) -> str:
        """The prefix up to its first date."""
        return self.prefix.partition("%")[0]

    def prefixes(self, at: datetime) -> tuple[str, ...]:
        """The prefixes to list at about ``at``, oldest first: from three days before to one step on."""
        step = next((step for part, step in _DATE_STEPS.items() if part in self.prefix), None)
        if step is None:
            return (self.prefix,)
        return tuple(dict.fromkeys(self._dated(at, step)))

    def _dated(self, at: datetime, step: timedelta) -> Iterator[str]:
        moment, end = at - _LOOK_BACK, at + step
        while moment < end:
            yield moment.strftime(self.prefix)
            moment += step
        yield end.strftime(self.prefix)


@lru_cache(maxsize=64)
def _compiled_prefix(prefix: str) -> re.Pattern[str]:
    parts = re.split("(%[YmdH])", prefix)
    return re.compile(
        "".join(_DATE_PATTERNS.get(part, re.escape(part)) for part in parts), re.DOTALL
    )


@lru_cache(maxsize=64)
def _compiled_glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.DOTALL)
