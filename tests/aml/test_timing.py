"""When a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from dateutil import rrule

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


# Twenty triggers, each with the ticks of two years reckoned anew by dateutil.
START = "2026-01-05T00:30:00"
BERLIN, LORD_HOWE, SYDNEY = "W. Europe Standard Time", "Australia/Lord_Howe", "Australia/Sydney"
ELAPSED: dict[str, dict[str, Any]] = {
    "every 15 minutes": {"frequency": "minute", "interval": 15},
    "every 20 minutes where the clock moves by half an hour": {
        "frequency": "minute", "interval": 20, "time_zone": LORD_HOWE,
    },
    "every half hour": {"frequency": "minute", "interval": 30, "time_zone": BERLIN},
    "every hour": {"frequency": "hour", "interval": 1, "time_zone": BERLIN},
    "every 2 hours": {"frequency": "hour", "interval": 2, "time_zone": BERLIN},
    "every 6 hours": {"frequency": "hour", "interval": 6},
    "every 6 hours in Berlin": {"frequency": "hour", "interval": 6, "time_zone": BERLIN},
    "every 6 hours from summer on": {
        "frequency": "hour", "interval": 6, "time_zone": BERLIN,
        "start_time": "2026-07-01T00:00:00",
    },
    "every 5 hours in Sydney": {"frequency": "hour", "interval": 5, "time_zone": SYDNEY},
    "every 8 hours where the clock moves by half an hour": {
        "frequency": "hour", "interval": 8, "time_zone": LORD_HOWE,
    },
    "every 24 hours": {"frequency": "hour", "interval": 24, "time_zone": "America/New_York"},
}  # fmt: skip
CALENDAR: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "every day": ({"frequency": "day", "interval": 1, "time_zone": BERLIN}, {}),
    "every third day, from last year": (
        {"frequency": "day", "interval": 3, "start_time": "2025-02-27T05:00:00"}, {}
    ),
    "at half past two every day, which one day in spring has not": (
        {"frequency": "day", "interval": 1, "hours": (2,), "minutes": (30,), "time_zone": BERLIN},
        {"byhour": [2], "byminute": [30]},
    ),
    "on working days at several times": (
        {"frequency": "day", "interval": 1, "hours": (8, 18), "minutes": (0, 45),
         "week_days": ("monday", "tuesday", "wednesday", "thursday", "friday")},
        {"byhour": [8, 18], "byminute": [0, 45], "byweekday": [0, 1, 2, 3, 4]},
    ),
    "every other week": (
        {"frequency": "week", "interval": 2, "hours": (4,), "minutes": (0,),
         "week_days": ("sunday", "friday"), "time_zone": SYDNEY},
        {"byhour": [4], "byminute": [0], "byweekday": [6, 4]},
    ),
    "every week from a day in the future": (
        {"frequency": "week", "interval": 1, "start_time": "2026-09-30T10:15:00"}, {}
    ),
    "every third month on two days": (
        {"frequency": "month", "interval": 3, "month_days": (1, 31), "hours": (0,),
         "minutes": (0,), "time_zone": "America/New_York"},
        {"byhour": [0], "byminute": [0], "bymonthday": [1, 31]},
    ),
    "every month on Mondays": (
        {"frequency": "month", "interval": 1, "week_days": ("monday",), "hours": (4,),
         "minutes": (0,)},
        {"byhour": [4], "byminute": [0], "byweekday": [0]},
    ),
    "every other month on a Friday the 13th": (
        {"frequency": "month", "interval": 2, "week_days": ("friday",), "month_days": (13,)},
        {"byweekday": [4], "bymonthday": [13]},
    ),
    "every 31st": (
        {"frequency": "month", "interval": 1, "start_time": "2026-01-31T12:00:00"}, {}
    ),
    "every third hour at two minutes, on Sundays": (
        {"frequency": "hour", "interval": 3, "minutes": (10, 50), "week_days": ("sunday",)},
        {"byminute": [10, 50], "byweekday": [6]},
    ),
}  # fmt: skip
END = datetime(2027, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize("name", ELAPSED)
def test_minutes_and_hours_are_counted_as_they_pass(name: str) -> None:
    trigger = Recurrence(**{"start_time": START} | ELAPSED[name])
    start = local_start(trigger).astimezone(UTC)
    unit = {"minute": rrule.MINUTELY, "hour": rrule.HOURLY}[trigger.frequency]
    naive = rrule.rrule(unit, interval=trigger.interval, dtstart=start.replace(tzinfo=None))
    expected = [at.replace(tzinfo=UTC) for at in naive.between(*map(plain, (start, END)), inc=True)]
    assert dagster_ticks(trigger) == expected


@pytest.mark.parametrize("name", CALENDAR)
def test_days_weeks_and_months_follow_the_calendar_and_clock_of_the_zone(name: str) -> None:
    fields, by = CALENDAR[name]
    trigger = Recurrence(**{"start_time": START} | fields)
    zone, start = zone_of(trigger), local_start(trigger)
    unit = {"hour": rrule.HOURLY, "day": rrule.DAILY, "week": rrule.WEEKLY, "month": rrule.MONTHLY}
    # A unit counts from its beginning, wherever in it the start is.
    naive = rrule.rrule(
        unit[trigger.frequency], interval=trigger.interval, dtstart=plain(start), **by
    )
    end = plain(END.astimezone(zone))
    expected = [wall_clock(at, zone) for at in naive.between(plain(start), end, inc=True)]
    assert dagster_ticks(trigger) == expected


def dagster_ticks(trigger: Recurrence) -> list[datetime]:
    """The due ones of the moments at which Dagster's scheduler evaluates the schedule."""
    begin = (local_start(trigger) - timedelta(days=1)).timestamp()
    cron, zone = cron_of(trigger, CREATED), zone_of(trigger).key
    ticks = schedule_execution_time_iterator(begin, cron, zone, ascending=True)
    moments = takewhile(lambda at: at <= END, ticks)
    return [at.astimezone(UTC) for at in moments if is_due(trigger, at, CREATED)]


def local_start(trigger: Recurrence) -> datetime:
    assert trigger.start_time is not None
    return datetime.fromisoformat(trigger.start_time).replace(tzinfo=zone_of(trigger))


def plain(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def wall_clock(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which clocks show ``at``: the later of two, and the end of the hour that is left out.

    (docs.dagster.io: execution times and daylight saving time)
    """
    moment = at.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if plain(moment.astimezone(zone)) == at:
        return moment
    # The clocks are put forward at a whole hour.
    return at.replace(tzinfo=zone, fold=0).astimezone(UTC).replace(minute=0)
