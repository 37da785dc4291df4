"""How the command line prints values: tables for people, JSON for programs.

Nothing that a job, a name or a file says is taken for markup, and no control character of theirs
reaches the terminal.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# DEL and C1 controls, lone surrogates, and the characters that change the direction of text
# (unicode.org/reports/tr36, "Bidirectional Text Spoofing").
_HARMFUL = r"\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN = re.compile(rf"[\x00-\x1f{_HARMFUL}]")
_UNSEEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_HARMFUL}]")


class Format(StrEnum):
    """The forms in which data is printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[
    Format,
    typer.Option("--output", "-o", help="Print a table, or JSON for programs.", show_default=True),
]


def print_json(value: Any) -> None:
    """Print a value, or a list of them, as JSON; the keys are its fields' names."""
    print(json.dumps(plain(value), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """A value as what JSON has: mappings, lists, text, numbers.

    Times become ISO 8601; a number that JSON cannot say becomes ``"NaN"``, ``"Infinity"`` or
    ``"-Infinity"`` (as in protobuf.dev/programming-guides/json).
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns' names; ``empty`` is said instead of a table without rows.

    A terminal wraps a long cell; elsewhere every cell stands whole on one line.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        print(empty, file=sys.stderr)
        return
    if not sys.stdout.isatty():
        _print_aligned([list(columns), *cells])
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(_coloured(Text(cell)) for cell in row))
    console().print(table)


def print_fields(values: Mapping[str, object]) -> None:
    """Print names and values, one a line; what is empty is left out."""
    shown = {name: _cell(value) for name, value in values.items() if value not in (None, "", {})}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        print(f"{name.ljust(width)}  {value}")


def note(text: str) -> None:
    """Say something beside the data, on stderr."""
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


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return visible(", ".join(f"{key}={item}" for key, item in value.items()))
    return visible(str(value))


def _print_aligned(rows: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())


_COLOURS = {
    "Completed": "green",
    "Failed": "red",
    "NotResponding": "red",
    "Canceled": "yellow",
    "CancelRequested": "yellow",
    "Paused": "yellow",
    "Running": "cyan",
    "Finalizing": "cyan",
    "Preparing": "cyan",
}


def _coloured(cell: Text) -> Text:
    if colour := _COLOURS.get(cell.plain):
        cell.stylize(colour)
    return cell
