from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.landing import Limits, Selection
from mlops_dagster.landing.batching import cut_batches
from mlops_dagster.landing.values import Batch, Drop, Entry, WaitingDrop

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def waiting(sizes: list[int], ages: list[int] | None = None) -> list[WaitingDrop]:
    ages = ages or [0] * len(sizes)
    return [
        WaitingDrop(Drop(f"{number}.csv", "e", size, AT), 1, AT - age * SECOND)
        for number, (size, age) in enumerate(zip(sizes, ages, strict=True))
    ]


def sizes_of(
    drops: list[WaitingDrop], limits: Limits, *, opened: int = 0, settle: int = 0
) -> list[list[int]]:
    batches = cut_batches(drops, opened, limits=limits, settle=settle * SECOND, at=AT)
    return [[drop.size for drop in batch.drops] for batch in batches]


def test_a_batch_is_closed_by_count_by_bytes_and_by_age() -> None:
    limits = Limits(drops=3, size=10, age=60 * SECOND)
    assert sizes_of(waiting([1, 1, 1, 1]), limits) == [[1, 1, 1]]
    assert sizes_of(waiting([6, 6, 1]), limits) == [[6]]
    assert sizes_of(waiting([1, 1], [60, 0]), limits) == [[1, 1]]


def test_a_huge_file_is_a_batch_by_itself() -> None:
    assert sizes_of(waiting([1, 99, 1], [60, 60, 60]), Limits(size=10)) == [[1], [99], [1]]


def test_no_batch_is_made_while_too_many_are_open() -> None:
    drops = waiting([1] * 9)
    assert len(sizes_of(drops, Limits(drops=1, open_batches=4), opened=3)) == 1
    assert sizes_of(drops, Limits(drops=1, open_batches=4), opened=4) == []


def test_what_has_not_settled_waits_and_holds_nothing_up() -> None:
    limits = Limits(age=timedelta(0))
    assert sizes_of(waiting([1, 2], [0, 30]), limits, settle=10) == [[2]]


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    assert sizes_of(waiting([1], [-3600]), Limits(), settle=10) == [[1]]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 100)), max_size=40),
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(0, 6),
)
def test_batches_hold_the_first_drops_in_order_once_and_within_bounds(
    drops: list[tuple[int, int]], most: int, size: int, opened: int
) -> None:
    given_drops = waiting([size for size, _ in drops], [age for _, age in drops])
    limits = Limits(drops=most, size=size, age=50 * SECOND, open_batches=4)
    batches = cut_batches(given_drops, opened, limits=limits, settle=timedelta(0), at=AT)
    taken = [drop for batch in batches for drop in batch.drops]
    assert taken == [found.drop for found in given_drops][: len(taken)]
    assert len(batches) <= max(0, 4 - opened)
    for batch in batches:
        assert len(batch.drops) <= most
        assert batch.size <= size or len(batch.drops) == 1


def test_a_manifest_is_read_back_and_one_that_was_changed_is_refused() -> None:
    drop = Drop('a "b"\n.csv', "e", 1, AT)
    batch = Batch((Entry(drop), Entry(drop, 2)), AT)
    assert Batch.from_json(batch.to_json()) == batch
    with pytest.raises(ValueError, match="was changed"):
        Batch.from_json(batch.to_json().replace('"e"', '"f"'))


def test_a_replayed_drop_is_another_batch() -> None:
    drop = Drop("a", "e", 1, AT)
    assert Batch((Entry(drop, 1),), AT).id != Batch((Entry(drop, 2),), AT).id


@pytest.mark.parametrize(
    ("selection", "path", "counts"),
    [
        (Selection(), "a/b.csv", True),
        (Selection(), "_temporary/b.csv", False),
        (Selection(), "a/.b.csv.swp", False),
        (Selection(), "../b.csv", True),
        (Selection(suffixes=(".csv",)), "a.parquet", False),
        (Selection(prefix="in/"), "out/a.csv", False),
        (Selection(prefix="year=%Y/month=%m/"), "year=2026/month=01/a.csv", True),
        (Selection(prefix="year=%Y/month=%m/"), "year=26/month=01/a.csv", False),
        (Selection(prefix="a.c/"), "abc/x", False),
        (Selection(pattern="*/flights-*.csv"), "2026/flights-1.csv", True),
        (Selection(pattern="*/flights-*.csv"), "2026/planes-1.csv", False),
    ],
)
def test_a_name_decides_what_counts(selection: Selection, path: str, counts: bool) -> None:
    assert selection.includes(path) is counts


def test_a_dated_prefix_is_listed_from_some_days_back_to_one_step_on() -> None:
    assert Selection(prefix="d=%Y-%m-%d/").prefixes(AT)[0] == "d=2025-12-29/"
    assert Selection(prefix="d=%Y-%m-%d/").prefixes(AT)[-1] == "d=2026-01-02/"
    assert Selection(prefix="%Y/%m/").prefixes(AT) == ("2025/12/", "2026/01/")
    assert Selection(prefix="in/").prefixes(AT) == ("in/",)
    assert Selection(prefix="in/%Y/").fixed_prefix == "in/"
