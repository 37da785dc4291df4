"""When a schedule is due: its trigger as a cron expression, and as a rule for one moment.

Where a recurrence says less than a whole time, it goes on from its start, or from when it was
created (learn.microsoft.com/azure/machine-learning/reference-yaml-schedule). What cron cannot say,
such as every third week, is decided by ``is_due`` at the moments that the expression gives.
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
    minutes = _listed(trigger.minutes or (start.minute,))
    hours = _listed(trigger.hours or (start.hour,))
    match trigger.frequency:
        case "minute":
            return f"{_steps(start.minute, trigger.interval, 60)} * * * *"
        case "hour":
            return f"{start.minute} {_steps(start.hour, trigger.interval, 24)} * * *"
        case "day":
            return f"{minutes} {hours} * * *"
        case "week":
            days = trigger.week_days or (_DAYS[start.weekday()],)
            numbers = _listed((_DAYS.index(day) + 1) % 7 for day in days)
            return f"{minutes} {hours} * * {numbers}"
        case "month":
            return f"{minutes} {hours} {_listed(trigger.month_days or (start.day,))} * *"


def is_due(trigger: Cron | Recurrence, at: datetime, created: datetime) -> bool:
    """Whether a moment that ``cron_of`` gives is one of the trigger's.

    Args:
        at, created: timezone-aware.
    """
    zone = zone_of(trigger)
    if trigger.start_time and at < _moment(trigger.start_time, zone):
        return False
    if trigger.end_time and at > _moment(trigger.end_time, zone):
        return False
    if isinstance(trigger, Cron):
        return True
    start, here = _start(trigger, created), at.astimezone(zone)
    return _passed(trigger.frequency, start, here) % trigger.interval == 0


def check_trigger(trigger: Cron | Recurrence) -> None:
    """Raise InvalidRequest where its expression, time zone, start or end cannot be read."""
    zone = zone_of(trigger)
    if isinstance(trigger, Cron) and (reason := cron_problem(trigger.expression)):
        raise InvalidRequest(
            f"Found the cron expression {trigger.expression!r}: {reason}.", remedy=CRON_REMEDY
        )
    for text in (trigger.start_time, trigger.end_time):
        if text:
            _moment(text, zone)


def _passed(frequency: str, start: datetime, at: datetime) -> int:
    """Whole units from the one that holds ``start`` to the one that holds ``at``."""
    match frequency:
        case "minute" | "hour":
            # Through UTC: a clock that is put forward leaves no unit out.
            seconds = (at.astimezone(UTC) - start.astimezone(UTC)).total_seconds()
            return round(seconds / (60 if frequency == "minute" else 3600))
        case "day":
            return (at.date() - start.date()).days
        case "week":
            monday = [day.date() - timedelta(days=day.weekday()) for day in (start, at)]
            return (monday[1] - monday[0]).days // 7
        case _:
            return (at.year - start.year) * 12 + at.month - start.month


def _start(trigger: Recurrence, created: datetime) -> datetime:
    zone = zone_of(trigger)
    start = _moment(trigger.start_time, zone) if trigger.start_time else created
    return start.astimezone(zone).replace(second=0, microsecond=0)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is no time.", remedy="Write it like 2026-01-31T06:00:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _steps(first: int, interval: int, whole: int) -> str:
    """Every so many of ``whole``; each one where cron's steps would begin anew at every whole."""
    if interval == 1 or whole % interval:
        return "*"
    return _listed(range(first % interval, whole, interval))


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))
