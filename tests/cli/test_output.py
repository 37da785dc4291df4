"""What is written for people is harmless on a terminal, and times read as a person says them."""

from __future__ import annotations

import pytest

from mlops_dagster.cli.output import duration, visible
from mlops_dagster.cli.stream import printable


def test_visible_keeps_line_ends_only_on_request() -> None:
    assert visible("a\n\tb\r\x00") == r"a\n\tb\r\x00"
    assert visible("a\n\tb\r\x00", lines=True) == "a\n\tb\\r\\x00"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain [bold]text[/bold] :smile:", "plain [bold]text[/bold] :smile:"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", r"\x1b]0;title\x07x"),
        ("\x1b]8;;http://evil\x1b\\link", r"\x1b]8;;http://evil\x1b\link"),
        ("\x1b[2J\x1b[1;1Hgone", r"\x1b[2J\x1b[1;1Hgone"),
        (" 10%\r 50%\r100%\r", "100%"),
        ("\u202eevil", r"\u202eevil"),
    ],
)
def test_a_log_line_keeps_its_colours_and_steers_no_terminal(line: str, shown: str) -> None:
    assert printable(line).plain == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (-0.2, "0.0 s"),
        (0.42, "0.4 s"),
        (12.3, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_read_as_a_person_says_them(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
