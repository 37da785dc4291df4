"""When a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mlops_dagster.aml.assets import Cron, Recurrence
from mlops_dagster.aml.timing import check_trigger, cron_of, is_due, zone_of
from mlops_dagster.errors import InvalidRequest

CREATED = datetime(2026, 1, 7, 10, 7, 31, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("fields", "cron"),
    [
        ({"frequency": "minute", "interval": 1}, "* * * * *"),
        ({"frequency": "minute", "interval": 15}, "7,22,37,52 * * * *"),
        ({"frequency": "minute", "interval": 7}, "* * * * *"),
        ({"frequency": "hour", "interval": 1}, "7 * * * *"),
        ({"frequency": "hour", "interval": 6}, "7 4,10,16,22 * * *"),
        ({"frequency": "hour", "interval": 5}, "7 * * * *"),
        ({"frequency": "day", "interval": 1}, "7 10 * * *"),
        (
            {"frequency": "day", "interval": 1, "hours": (9, 4), "minutes": (30, 0)},
            "0,30 4,9 * * *",
        ),
        (
            {
                "frequency": "week",
                "interval": 2,
                "hours": (4,),
                "minutes": (0,),
                "week_days": ("sunday", "friday"),
            },
            "0 4 * * 0,5",
        ),
        ({"frequency": "week", "interval": 1}, "7 10 * * 3"),
        ({"frequency": "month", "interval": 3, "month_days": (1, 15)}, "7 10 1,15 * *"),
        ({"frequency": "day", "interval": 1, "start_time": "2026-02-01T23:30:00"}, "30 23 * * *"),
    ],
)
def test_a_recurrence_is_a_cron_expression(fields: dict[str, Any], cron: str) -> None:
    assert cron_of(Recurrence(**fields), CREATED) == cron


@pytest.mark.parametrize(
    ("frequency", "interval", "unit", "due"),
    [
        ("minute", 7, timedelta(minutes=1), [0, 7, 14]),
        ("hour", 5, timedelta(hours=1), [0, 5, 10, 15]),
        ("day", 3, timedelta(days=1), [0, 3, 6, 9]),
        ("week", 2, timedelta(weeks=1), [0, 2, 4]),
        ("month", 2, timedelta(days=31), [0, 2]),
    ],
)
def test_every_so_many_is_counted_from_the_start(
    frequency: Any, interval: int, unit: timedelta, due: list[int]
) -> None:
    trigger = Recurrence(frequency=frequency, interval=interval)
    first = CREATED.replace(second=0)
    found = [n for n in range(due[-1] + 1) if is_due(trigger, first + n * unit, CREATED)]
    assert found == due


def test_a_week_begins_on_monday_wherever_the_first_day_was() -> None:
    trigger = Recurrence(frequency="week", interval=2, week_days=("monday", "sunday"))
    sunday, next_monday = (
        datetime(2026, 1, 11, 10, 7, tzinfo=UTC),
        datetime(2026, 1, 12, tzinfo=UTC),
    )
    assert is_due(trigger, sunday, CREATED)
    assert not is_due(trigger, next_monday, CREATED)
    assert is_due(trigger, next_monday + timedelta(weeks=1), CREATED)


def test_nothing_is_due_before_the_start_and_after_the_end() -> None:
    trigger = Cron(
        expression="0 3 * * *",
        start_time="2026-03-01T03:00:00",
        end_time="2026-03-02T03:00:00",
        time_zone="W. Europe Standard Time",
    )
    berlin = ZoneInfo("Europe/Berlin")
    assert zone_of(trigger).key == "Europe/Berlin"
    days = [datetime(2026, 2, 28, 3, tzinfo=berlin) + timedelta(days=n) for n in range(4)]
    assert [is_due(trigger, day, CREATED) for day in days] == [False, True, True, False]


def test_hours_are_counted_through_a_clock_that_is_put_forward() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    trigger = Recurrence(
        frequency="hour", interval=5, start_time="2026-03-29T00:00:00", time_zone="Europe/Berlin"
    )
    assert is_due(trigger, datetime(2026, 3, 29, 6, tzinfo=berlin), CREATED)
    assert not is_due(trigger, datetime(2026, 3, 29, 5, tzinfo=berlin), CREATED)


@pytest.mark.parametrize(
    ("field", "text"),
    [("time_zone", "Middle Earth"), ("start_time", "tomorrow"), ("time_zone", "../../etc/passwd")],
)
def test_a_zone_or_time_that_is_none_is_refused(field: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match="no time"):
        check_trigger(Cron.model_validate({"expression": "* * * * *", field: text}))
