"""What is printed is data: exact as JSON, harmless on a terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import pytest

from mlops_dagster.cli.output import duration, print_json, print_table, visible
from mlops_dagster.cli.stream import printable


class State(StrEnum):
    DONE = "Done"


@dataclass(frozen=True)
class Inner:
    at: datetime
    where: Path


@dataclass(frozen=True)
class Outer:
    state: State
    inner: Inner
    metrics: MappingProxyType[str, float]
    items: tuple[Inner, ...] = ()
    missing: str | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def derived(self) -> int:
        return 1


def test_json_has_exactly_the_fields_of_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    inner = Inner(datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), Path("/a/b"))
    metrics = MappingProxyType({"auc": 0.7, "loss": float("nan"), "gap": float("-inf")})
    print_json(Outer(State.DONE, inner, metrics, (inner,), notes={"k": "é\x1b"}))
    shown = {"at": "2024-05-06T07:08:09+00:00", "where": "/a/b"}
    assert json.loads(capsys.readouterr().out) == {
        "state": "Done",
        "inner": shown,
        "metrics": {"auc": 0.7, "loss": "NaN", "gap": "-Infinity"},
        "items": [shown],
        "missing": None,
        "notes": {"k": "é\x1b"},
    }


def test_json_keeps_control_characters_and_broken_names_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"name": "\x1b[31m\u202e\udcff"})
    assert "\\u001b[31m\\u202e\\udcff" in capsys.readouterr().out


def test_a_long_name_stands_whole_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "n" * 300
    print_table(("name", "status"), [(name, "Completed"), ("宽", "Failed")], empty="")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{name}  Completed"
    assert lines[2] == f"宽{' ' * 298}  Failed"


def test_a_cell_is_one_line_without_control_characters_or_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("name",), [("[bold]a[/bold]\x1b[2J\nb\u202e",)], empty="")
    assert capsys.readouterr().out.splitlines()[1] == r"[bold]a[/bold]\x1b[2J\nb\u202e"


def test_an_empty_table_is_said_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [], empty="There is nothing.")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "There is nothing.\n")


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
