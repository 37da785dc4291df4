"""The kinds of fields that ``project.yaml`` has, each checked by itself."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from mlops_dagster.aml.cron import cron_problem

Automation = Literal["eager", "on_missing"]
Unit = Literal["hour", "day", "week", "month"]

_SPANS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_OWNER = re.compile(r"team:[A-Za-z0-9_.\- ]+|[^@\s]+@[^@\s]+\.[^@\s]+")

# What Dagster takes as a group, a job or a part of an op's name.
_NAME = r"^[A-Za-z][A-Za-z0-9_]{0,99}$"
# What Azure ML takes as the name of a data or model asset.
_ASSET_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,254}$"


def _check_name(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        raise ValueError(
            f"Found {value!r}; a name of up to 100 letters, digits and '_' is expected, a letter first."
        )
    return value


def _check_asset_name(value: str) -> str:
    if not re.fullmatch(_ASSET_NAME, value):
        raise ValueError(
            f"Found {value!r}; a name of up to 255 letters, digits, '_', '-' and '.' is expected, "
            "a letter or digit first."
        )
    return value


def _parse_span(value: Any) -> Any:
    """``31 days``, ``90 minutes``, ``5 seconds`` as a timedelta."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*(\d+)\s*([a-z]+?)s?\s*", str(value))
    if found is None or found[2] not in _SPANS or int(found[1]) == 0:
        raise ValueError(f"Found {value!r}; a span such as '31 days' or '12 hours' is expected.")
    return timedelta(seconds=int(found[1]) * _SPANS[found[2]])


def _parse_wait(value: Any) -> Any:
    """A span that may be none at all, ``0 seconds``."""
    return timedelta(0) if re.fullmatch(r"\s*0(\s*[a-z]+)?\s*", str(value)) else _parse_span(value)


def _check_owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError(f"Found {value!r}; an e-mail address or 'team:NAME' is expected.")
    return value


def _parse_start(value: Any) -> Any:
    """A month (``2013-09``), a day or a moment as a datetime without a zone."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, time())
    for form in ("%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(str(value), form)  # noqa: DTZ007 - timezone: says it
        except ValueError:
            continue
    raise ValueError(f"Found {value!r}; a month or day such as 2013-09 or 2013-09-01 is expected.")


def _check_cron(value: str) -> str:
    if reason := cron_problem(value):
        message = f"Found {value!r}: {reason}; five cron fields such as '0 6 1 * *' are expected."
        raise ValueError(message)
    return value


def _check_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        near = [zone for zone in available_timezones() if zone.lower().endswith(value.lower())]
        hint = f" such as {min(near)!r}" if near else " such as 'Europe/London'"
        raise ValueError(f"Found {value!r}; an IANA time zone{hint} is expected.") from None
    return value


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    """How a field that is written as text stands in the JSON schema."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


_SPAN = r"^\s*[1-9]\d*\s*(second|minute|hour|day|week)s?\s*$"

Name = Annotated[str, AfterValidator(_check_name), _text(_NAME, "flight_delays")]
AssetName = Annotated[str, AfterValidator(_check_asset_name), _text(_ASSET_NAME, "flight-delays")]
Span = Annotated[timedelta, BeforeValidator(_parse_span), _text(_SPAN, "31 days", "12 hours")]
Wait = Annotated[
    timedelta,
    BeforeValidator(_parse_wait),
    _text(rf"{_SPAN}|^\s*0(\s*[a-z]+)?\s*$", "30 seconds", "0 seconds"),
]
Owner = Annotated[
    str, AfterValidator(_check_owner), _text(rf"^({_OWNER.pattern})$", "team:flight-operations")
]
Moment = Annotated[
    datetime,
    BeforeValidator(_parse_start),
    _text(r"^\d{4}-\d{2}(-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?)?$", "2013-09", "2013-09-01"),
]
TimeZone = Annotated[
    str, AfterValidator(_check_timezone), _text(r"^[A-Za-z0-9_+\-/]+$", "Europe/London")
]
Cron = Annotated[str, AfterValidator(_check_cron), _text(r"^\s*(\S+\s+){4}\S+\s*$", "0 6 1 * *")]
Share = Annotated[float, Field(ge=0, le=1)]
