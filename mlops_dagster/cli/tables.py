"""Tables for people: as wide as the terminal, never wider."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_dagster.cli.output import console, visible

if TYPE_CHECKING:
    from rich.text import Text

_GAP = 2  # between two columns
_LEAST = 8  # of a column that is shortened or folded
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


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str,
    shorten: Collection[str] = (),
) -> None:
    """Print rows under their columns' names; ``empty`` is printed instead of a table without rows.

    On a terminal the table fits its width; elsewhere every cell stands whole on one line.

    Args:
        shorten: columns whose cells a narrow terminal cuts (with ``…``), the widest first. Where
            that is not enough, the widest of the others continue on a second line.
    """
    cells = [[text_of(value) for value in row] for row in rows]
    if not cells:
        if empty:
            print(empty, file=sys.stderr)
        return
    if sys.stdout.isatty():
        _print_fitting(columns, cells, shorten)
    else:
        _print_aligned([list(columns), *cells])


def print_fields(values: Mapping[str, object]) -> None:
    """Print names and values, one a line; what is empty is left out.

    On a terminal a long value goes on below itself.
    """
    shown = {name: text_of(value) for name, value in values.items() if value not in (None, "", {})}
    width = max((len(name) for name in shown), default=0)
    if not sys.stdout.isatty():
        for name, value in shown.items():
            print(f"{name.ljust(width)}  {value}")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(width=width)
    table.add_column(overflow="fold")
    for name, value in shown.items():
        table.add_row(name, _coloured(Text(value)))
    console().print(table)


def text_of(value: object) -> str:
    """A value as it stands in a cell."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return visible(", ".join(f"{key}={item}" for key, item in value.items()))
    return visible(str(value))


def fitting_widths(
    natural: Sequence[int], least: Sequence[int], first: Collection[int], room: int
) -> list[int]:
    """The widths of columns that fit into ``room``, where that is possible at all.

    Args:
        natural: what each column would like to have.
        least: what it must have.
        first: the positions of those that give way before the others.
    """
    widths = list(natural)
    for giving in (first, range(len(widths))):
        while sum(widths) > room:
            wide = [i for i in giving if widths[i] > least[i]]
            if not wide:
                break
            widths[max(wide, key=lambda i: widths[i])] -= 1
    return widths


def _print_fitting(
    columns: Sequence[str], cells: Sequence[Sequence[str]], shorten: Collection[str]
) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    screen = console()
    natural = [
        max(cell_len(column), *(cell_len(row[i]) for row in cells))
        for i, column in enumerate(columns)
    ]
    least = [min(width, _LEAST) for width in natural]
    cut = [i for i, column in enumerate(columns) if column in shorten]
    room = screen.width - _GAP * (len(columns) - 1) - 1
    widths = fitting_widths(natural, least, cut, room)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    table.show_edge = False
    for i, column in enumerate(columns):
        if i in cut:
            table.add_column(column, width=widths[i], no_wrap=True, overflow="ellipsis")
        else:
            table.add_column(column, width=widths[i], overflow="fold")
    for row in cells:
        table.add_row(*(_coloured(Text(cell)) for cell in row))
    screen.print(table)


def _print_aligned(rows: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())


def _coloured(cell: Text) -> Text:
    if colour := _COLOURS.get(cell.plain):
        cell.stylize(colour)
    return cell
