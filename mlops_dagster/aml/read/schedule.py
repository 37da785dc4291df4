"""Schedules: a job, and when it runs.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-schedule
"""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, cast

from mlops_dagster.aml.assets import Cron, Recurrence, Schedule
from mlops_dagster.aml.document import Document, is_file, shown
from mlops_dagster.aml.job import Job
from mlops_dagster.aml.node import Part
from mlops_dagster.aml.read.ios import read_input
from mlops_dagster.aml.read.job import read_job
from mlops_dagster.aml.read.pipeline import read_settings
from mlops_dagster.aml.references import Registered, parse_reference, resolved

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CRON_FIELD = re.compile(r"[\d*/,\-A-Za-z?L#]+")


def read_schedule(part: Part) -> Schedule | None:
    """A schedule with the job that it runs."""
    if _belongs_to_azure(part):
        return None
    part.fields(
        ("name", "display_name", "description", "tags", "properties", "trigger", "create_job",
         "is_enabled", "provisioning_state")
    )  # fmt: skip
    name = part.required("name").as_text()
    trigger = _trigger(part.required("trigger"))
    created = part.required("create_job")
    found = _job(created) if created.given else None
    if name is None or trigger is None or found is None:
        return None
    return Schedule(
        name=name,
        display_name=part.text("display_name"),
        description=part.text("description") or "",
        trigger=trigger,
        tags=part.labels("tags"),
        properties=part.labels("properties"),
        source=part.document.path,
        **found,
    )


def _belongs_to_azure(part: Part) -> bool:
    """Whether it does something else than run a job, which is noted."""
    others = {"import_data": "imports data", "create_monitor": "watches a deployed model"}
    found = [(name, does) for name, does in others.items() if part.has(name)]
    for name, does in found:
        remedy = "Here a schedule runs a job: write `create_job:`."
        part.at(name).problem(f"A schedule that {does} is carried out by Azure alone.", remedy)
    return bool(found)


def _trigger(part: Part) -> Cron | Recurrence | None:
    if not part.is_mapping():
        return None
    part.required("type")
    kind = part.choice("type", ("cron", "recurrence"))
    if kind is None:
        return None
    times: dict[str, Any] = {
        "start_time": part.text("start_time"),
        "end_time": part.text("end_time"),
        "time_zone": part.text("time_zone") or "UTC",
    }
    own = ("type", *times)
    if kind == "cron":
        part.fields((*own, "expression"))
        expression = part.required("expression").as_text()
        if expression is None:
            return None
        fields = expression.split()
        if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
            part.at("expression").problem(
                f"Found {shown(expression)}; expected minute, hour, day, month and day of the week.",
                "For example: 0 6 * * 1",
            )
        return Cron(expression=expression, **times)
    part.fields((*own, "frequency", "interval", "schedule"))
    return _recurrence(part, times)


def _recurrence(part: Part, times: dict[str, Any]) -> Recurrence | None:
    for name in ("frequency", "interval"):
        part.required(name)
    frequency = part.choice("frequency", ("minute", "hour", "day", "week", "month"))
    interval = part.integer("interval")
    if interval is not None and interval < 1:
        part.at("interval").wrong("at least 1")
    pattern = part.at("schedule")
    if pattern.is_mapping():
        pattern.fields(("hours", "minutes", "week_days", "month_days"))
        for name in ("hours", "minutes"):
            pattern.required(name)
    days = tuple(day for item in _several(pattern.at("week_days")) if (day := _day(item)))
    hours = _numbers(pattern.at("hours"), 0, 23)
    minutes = _numbers(pattern.at("minutes"), 0, 59)
    month_days = _numbers(pattern.at("month_days"), 1, 31)
    if frequency is None or interval is None:
        return None
    return Recurrence(
        frequency=cast("Literal['minute', 'hour', 'day', 'week', 'month']", frequency),
        interval=interval,
        hours=hours,
        minutes=minutes,
        week_days=days,
        month_days=month_days,
        **times,
    )


def _several(part: Part) -> list[Part]:
    """The items of a list, or the one thing that stands for it."""
    if isinstance(part.data, list):
        return [part.at(position) for position in range(len(part.data))]
    return [part] if part.given else []


def _numbers(part: Part, low: int, high: int) -> tuple[int, ...]:
    found: list[int] = []
    for item in _several(part):
        number = item.as_integer()
        if isinstance(number, int) and low <= number <= high:
            found.append(number)
        elif number is not None:
            item.wrong(f"between {low} and {high}")
    return tuple(found)


def _day(item: Part) -> str | None:
    text = item.as_text()
    if text is not None and text.lower() in _DAYS:
        return text.lower()
    item.wrong(f"one of {', '.join(_DAYS)}")
    return None


def _job(part: Part) -> dict[str, Any] | None:
    """The fields of a schedule that say what runs."""
    if isinstance(part.data, str):
        return _named(part, part, {})
    if not part.is_mapping():
        return None
    named = part.at("job")
    if not named.given:
        job = read_job(part)
        return {"job": job} if job else None
    changes = {name: entry.data for name, entry in part.entries() if name not in ("job", "$schema")}
    return _named(part, named, changes)


def _named(part: Part, named: Part, changes: dict[str, Any]) -> dict[str, Any] | None:
    text = named.as_text()
    if text is None:
        return None
    if isinstance(parse_reference(text), Registered):
        inputs = {name: read_input(entry, None) for name, entry in part.entries("inputs")}
        settings = part.at("settings")
        return {
            "job_reference": text,
            "inputs": {name: value for name, value in inputs.items() if value is not None},
            "settings": read_settings(settings) if settings.given else None,
        }
    path = Path(resolved(text, named.folder))
    if not is_file(path):
        named.problem(f"There is no file {path}.", f"It starts from {named.document.path.name}.")
        return None
    document = part.reading.document(path)
    if document is None:
        return None
    job = _changed(part, document, changes)
    return {"job": job} if job else None


def _changed(part: Part, document: Document, changes: dict[str, Any]) -> Job | None:
    """The job of a file with what its schedule sets anew, as the Azure tools merge them."""
    merged = Document(document.path, _merged(document.data, changes), document.lines)
    return read_job(Part.root(merged, part.reading))


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        merged = deepcopy(below)
        for key, value in above.items():
            merged[key] = _merged(below.get(key), value)
        return merged
    return above
