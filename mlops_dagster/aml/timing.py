"""When a schedule is due: its trigger as a cron expression, and as a rule for one moment.

Where a recurrence says less than a whole time, it goes on from its start, or from when it was
created (learn.microsoft.com/azure/machine-learning/reference-yaml-schedule). Its pattern adds
times or restricts them, whichever its frequency asks for, by the table of RFC 5545, section
3.3.10. Minutes and hours are counted as they pass; days, weeks and months by the calendar and
clock of the trigger's zone. What cron cannot say, such as every third week, is decided by
``is_due`` at the moments that the expression gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mlops_dagster.aml.assets import Cron, Recurrence
from mlops_dagster.aml.cron import CRON_REMEDY, cron_problem
from mlops_dagster.errors import InvalidRequest

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def zone_of(trigger: Cron | Recurrence) -> ZoneInfo:
    """Its time zone, by the name that Windows gives it, as Azure does, or by the IANA's.

    Raises InvalidRequest for another name.
    """
    from tzlocal.windows_tz import win_tz

    name = win_tz.get(trigger.time_zone, trigger.time_zone)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest(
            f"There is no time zone {trigger.time_zone!r}.",
            remedy="Write one such as UTC, W. Europe Standard Time or Europe/Berlin.",
        ) from None


def cron_of(trigger: Cron | Recurrence, created: datetime) -> str:
    """A cron expression, in the trigger's time zone, for every moment at which it may be due."""
    if isinstance(trigger, Cron):
        return trigger.expression
    start = _start(trigger, created)
    match trigger.frequency:
        case "minute":
            minutes = _list(trigger.minutes) or _minutes(start, trigger.interval)
            return f"{minutes} {_list(trigger.hours) or '*'} {_days(trigger)}"
        case "hour":
            minutes = _list(trigger.minutes) or _minutes(start, 60)
            return f"{minutes} {_list(trigger.hours) or _hours(start, trigger)} {_days(trigger)}"
    clock = f"{_list(trigger.minutes) or start.minute} {_list(trigger.hours) or start.hour}"
    match trigger.frequency:
        case "week" if not trigger.week_days:
            return f"{clock} * * {start.isoweekday() % 7}"
        case "week":
            return f"{clock} * * {_week_days(trigger)}"
        case "month" if not (trigger.month_days or trigger.week_days):
            return f"{clock} {start.day} * *"
        case _:
            return f"{clock} {_days(trigger)}"


def is_due(trigger: Cron | Recurrence, at: datetime, created: datetime) -> bool:
    """Whether a moment that ``cron_of`` gives is one of the trigger's.

    Args:
        at, created: timezone-aware.
    """
    zone = zone_of(trigger)
    if trigger.start_time and at < moment(trigger.start_time, zone):
        return False
    if trigger.end_time and at > moment(trigger.end_time, zone):
        return False
    if isinstance(trigger, Cron):
        return True
    start, here = _start(trigger, created), at.astimezone(zone)
    if trigger.week_days and _DAYS[here.weekday()] not in trigger.week_days:
        return False
    if trigger.month_days and here.day not in trigger.month_days:
        return False
    return _units_between(trigger, start, here) % trigger.interval == 0


def check_trigger(trigger: Cron | Recurrence) -> None:
    """Raise InvalidRequest where its expression, time zone, start or end cannot be read."""
    zone = zone_of(trigger)
    if isinstance(trigger, Cron) and (reason := cron_problem(trigger.expression)):
        raise InvalidRequest(
            f"Found the cron expression {trigger.expression!r}: {reason}.", remedy=CRON_REMEDY
        )
    start = moment(trigger.start_time, zone) if trigger.start_time else None
    end = moment(trigger.end_time, zone) if trigger.end_time else None
    if start is not None and end is not None and end < start:
        raise InvalidRequest(
            f"The end, {trigger.end_time}, is before the start, {trigger.start_time}.",
            remedy="Write a later end_time.",
        )


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A start or end; without an offset of its own it is in ``zone``. Raises InvalidRequest."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is no time.", remedy="Write it like 2026-01-31T06:00:00."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _units_between(trigger: Recurrence, start: datetime, at: datetime) -> float:
    """Units of the frequency from ``start`` to ``at``: whole ones where it is counted by them."""
    match trigger.frequency:
        case "minute":
            return _seconds_between(start, at) / 60
        case "hour" if not trigger.minutes:
            return _seconds_between(start, at) / 3600
        case "hour":
            return round(_seconds_between(start.replace(minute=0), at.replace(minute=0)) / 3600)
        case "day":
            return (at.date() - start.date()).days
        case "week":
            mondays = [day.date() - timedelta(days=day.weekday()) for day in (start, at)]
            return (mondays[1] - mondays[0]).days // 7
        case "month":
            return (at.year - start.year) * 12 + at.month - start.month


def _seconds_between(start: datetime, at: datetime) -> float:
    # Through UTC: Python subtracts two times of one zone as if its clock were never changed.
    return (at.astimezone(UTC) - start.astimezone(UTC)).total_seconds()


def _start(trigger: Recurrence, created: datetime) -> datetime:
    zone = zone_of(trigger)
    start = moment(trigger.start_time, zone) if trigger.start_time else created
    return start.astimezone(zone).replace(second=0, microsecond=0)


def _minutes(start: datetime, interval: int) -> str:
    """The minutes of the hour that come every ``interval`` minutes, whatever the clock shows."""
    if interval == 1 or 60 % interval:
        return "*"
    firsts = {(start.minute + shift) % interval for shift in _clock_shifts(start)}
    return _list(minute for first in firsts for minute in range(first, 60, interval))


def _hours(start: datetime, trigger: Recurrence) -> str:
    """The hours of the day that come every so many hours; any hour where the clock is changed."""
    interval = trigger.interval
    if interval == 1 or 24 % interval or len(_clock_shifts(start)) > 1:
        return "*"
    return _list(range(start.hour % interval, 24, interval))


def _clock_shifts(start: datetime) -> set[int]:
    """Minutes by which its zone's clock comes to differ from now, looked up twenty years ahead."""
    now = start.utcoffset() or timedelta()
    weeks = (start + timedelta(weeks=week) for week in range(20 * 53))
    return {round(((week.utcoffset() or timedelta()) - now).total_seconds() / 60) for week in weeks}


def _days(trigger: Recurrence) -> str:
    """Cron's last three fields. It joins days of the month and of the week by *or*: not both."""
    if trigger.month_days:
        return f"{_list(trigger.month_days)} * *"
    return f"* * {_week_days(trigger) or '*'}"


def _week_days(trigger: Recurrence) -> str:
    return _list((_DAYS.index(day) + 1) % 7 for day in trigger.week_days)


def _list(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))
