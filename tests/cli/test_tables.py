"""A table is as wide as the terminal, and never wider."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.cli.tables import fitting_widths, print_table


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


@given(st.lists(st.integers(1, 200), min_size=1, max_size=9), st.data())
def test_columns_that_may_be_cut_give_way_before_the_others(
    natural: list[int], data: st.DataObject
) -> None:
    least = [min(width, 8) for width in natural]
    first = data.draw(st.sets(st.sampled_from(range(len(natural)))))
    widths = fitting_widths(natural, least, first, 78)
    others = [i for i in range(len(natural)) if i not in first]
    if sum(natural) <= 78:
        assert widths == natural
    elif sum(least) <= 78:
        assert sum(widths) == 78
    if any(widths[i] < natural[i] for i in others):
        assert all(widths[i] == least[i] for i in first)
