"""What the command line writes for people: notes, times, and text that is safe on a terminal.

Nothing that a job, a name or a file says is taken for markup, and no control character of theirs
reaches the terminal.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# DEL and C1 controls, lone surrogates, and the characters that change the direction of text
# (unicode.org/reports/tr36, "Bidirectional Text Spoofing").
_HARMFUL = r"\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN = re.compile(rf"[\x00-\x1f{_HARMFUL}]")
_UNSEEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_HARMFUL}]")


def note(text: str) -> None:
    """Print a note beside the data, on stderr."""
    sys.stdout.flush()
    print(visible(text, lines=True), file=sys.stderr)


def visible(text: str, *, lines: bool = False) -> str:
    r"""The text with every control character written out, such as ``\x1b``.

    Args:
        lines: leaves line ends and tabs as they are.
    """
    pattern = _UNSEEN_IN_LINES if lines else _UNSEEN
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


@cache
def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing for markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def is_interactive(*, stderr: bool = False) -> bool:
    """Whether a person looks on: a terminal that can redraw a line."""
    stream = sys.stderr if stderr else sys.stdout
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def ago(moment: datetime) -> str:
    """How long ago it was, such as ``3 min ago``."""
    return f"{duration((datetime.now(UTC) - moment).total_seconds())} ago"


def duration(seconds: float | None) -> str:
    """A length of time for a person: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
