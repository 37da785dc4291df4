"""Schedules: a job, and when it runs.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-schedule
"""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast

from mlops_dagster.aml.assets import Cron, Recurrence, Schedule
from mlops_dagster.aml.cron import CRON_REMEDY, cron_problem
from mlops_dagster.aml.document import Document, Loc, is_file, short_repr
from mlops_dagster.aml.job import Job
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.overrides import is_used
from mlops_dagster.aml.read.inputs_outputs import read_input
from mlops_dagster.aml.read.job import read_job
from mlops_dagster.aml.read.pipeline import read_settings
from mlops_dagster.aml.references import Registered, parse_reference, resolve_path
from mlops_dagster.aml.timing import moment, zone_of
from mlops_dagster.errors import InvalidRequest, Problem, suggest

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def read_schedule(node: Node) -> Schedule | None:
    """A schedule with the job that it runs."""
    if _check_azure_only(node):
        return None
    node.check_fields(
        ("name", "display_name", "description", "tags", "properties", "trigger", "create_job",
         "is_enabled", "provisioning_state")
    )  # fmt: skip
    name = node.required("name").as_text()
    trigger = _read_trigger(node.required("trigger"))
    created = node.required("create_job")
    found = _read_job_fields(created) if created.is_set else None
    if name is None or trigger is None or found is None:
        return None
    return Schedule(
        name=name,
        display_name=node.text("display_name"),
        description=node.text("description") or "",
        trigger=trigger,
        is_enabled=node.boolean("is_enabled", default=True),
        tags=node.labels("tags"),
        properties=node.labels("properties"),
        source=node.document.path,
        **found,
    )


def _check_azure_only(node: Node) -> bool:
    """Whether it does something else than run a job; adds a mistake where it does."""
    others = {"import_data": "imports data", "create_monitor": "watches a deployed model"}
    found = [(name, does) for name, does in others.items() if node.has(name)]
    for name, does in found:
        remedy = "Here a schedule runs a job: write `create_job:`."
        node.at(name).add_problem(f"A schedule that {does} is carried out by Azure alone.", remedy)
    return bool(found)


def _read_trigger(node: Node) -> Cron | Recurrence | None:
    if not node.expect_mapping():
        return None
    node.required("type")
    kind = node.choice("type", ("cron", "recurrence"))
    if kind is None:
        return None
    times = _read_times(node)
    own = ("type", *times)
    if kind == "cron":
        node.check_fields((*own, "expression"))
        expression = node.required("expression").as_text()
        if expression is None:
            return None
        if reason := cron_problem(expression):
            node.at("expression").add_problem(
                f"Found {short_repr(expression)}: {reason}.", CRON_REMEDY
            )
        return Cron(expression=expression, **times)
    node.check_fields((*own, "frequency", "interval", "schedule"))
    return _read_recurrence(node, times)


def _read_times(node: Node) -> dict[str, Any]:
    """Start, end and time zone."""
    times: dict[str, Any] = {
        "start_time": node.text("start_time"),
        "end_time": node.text("end_time"),
        "time_zone": node.text("time_zone") or "UTC",
    }
    cron = Cron(expression="* * * * *", time_zone=times["time_zone"])
    try:
        zone = zone_of(cron)
    except InvalidRequest as error:
        node.at("time_zone").add_problem(error.message, error.remedy)
        return times
    moments = {}
    for name in ("start_time", "end_time"):
        text = node.at(name)
        if isinstance(text.data, date):
            text.add_mismatch("text", "Put the time in quotes, as Azure ML's own loader asks.")
        elif times[name] is not None:
            try:
                moments[name] = moment(times[name], zone)
            except InvalidRequest as error:
                text.add_problem(error.message, error.remedy)
    if len(moments) == 2 and moments["end_time"] < moments["start_time"]:
        message = f"The end is before the start, {times['start_time']}."
        node.at("end_time").add_problem(message, "Write a later end_time.")
    return times


def _read_recurrence(node: Node, times: dict[str, Any]) -> Recurrence | None:
    for name in ("frequency", "interval"):
        node.required(name)
    frequency = node.choice("frequency", ("minute", "hour", "day", "week", "month"))
    interval = node.integer("interval")
    if interval is not None and interval < 1:
        node.at("interval").add_mismatch("at least 1")
    pattern = node.at("schedule")
    if pattern.expect_mapping():
        pattern.check_fields(("hours", "minutes", "week_days", "month_days"))
        for name in ("hours", "minutes"):
            pattern.required(name)
    days = tuple(
        day for item in _item_nodes(pattern.at("week_days")) if (day := _read_week_day(item))
    )
    hours = _read_numbers(pattern.at("hours"), 0, 23)
    minutes = _read_numbers(pattern.at("minutes"), 0, 59)
    month_days = _read_numbers(pattern.at("month_days"), 1, 31)
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


def _item_nodes(node: Node) -> list[Node]:
    """The items of a list, or the one value that is given instead of a list."""
    if isinstance(node.data, list):
        return [node.at(position) for position in range(len(node.data))]
    return [node] if node.is_set else []


def _read_numbers(node: Node, low: int, high: int) -> tuple[int, ...]:
    found: list[int] = []
    for item in _item_nodes(node):
        number = item.as_integer()
        if isinstance(number, int) and low <= number <= high:
            found.append(number)
        elif number is not None:
            item.add_mismatch(f"between {low} and {high}")
    return tuple(found)


def _read_week_day(item: Node) -> str | None:
    text = item.as_text()
    if text is not None and text.lower() in _DAYS:
        return text.lower()
    item.add_mismatch(f"one of {', '.join(_DAYS)}")
    return None


def _read_job_fields(node: Node) -> dict[str, Any] | None:
    """The fields of a schedule that say what runs."""
    if isinstance(node.data, str):
        return _job_by_name(node, node, {})
    if not node.expect_mapping():
        return None
    named = node.at("job")
    if not named.is_set:
        job = read_job(node)
        return {"job": job} if job else None
    changes = {name: entry.data for name, entry in node.entries() if name not in ("job", "$schema")}
    return _job_by_name(node, named, changes)


def _job_by_name(node: Node, named: Node, changes: dict[str, Any]) -> dict[str, Any] | None:
    text = named.as_text()
    if text is None:
        return None
    if isinstance(parse_reference(text), Registered):
        inputs = {name: read_input(entry, None) for name, entry in node.entries("inputs")}
        settings = node.at("settings")
        return {
            "job_reference": text,
            "inputs": {name: value for name, value in inputs.items() if value is not None},
            "settings": read_settings(settings) if settings.is_set else None,
        }
    path = Path(resolve_path(text, named.folder))
    if not is_file(path):
        named.add_problem(
            f"There is no file {path}.", f"It starts from {named.document.path.name}."
        )
        return None
    document = node.session.document(path)
    if document is None:
        return None
    job = _job_with_changes(node, document, changes)
    return {"job": job} if job else None


def _job_with_changes(node: Node, document: Document, changes: dict[str, Any]) -> Job | None:
    """The job of a file with what its schedule sets anew, as the Azure tools merge them."""
    merged = Document(document.path, _merge(document.data, changes), document.lines)
    _check_names_used(node, document, merged)
    before = len(node.session.problems)
    job = read_job(Node.root(merged, node.session))
    node.session.problems[before:] = [
        _where_written(node, problem, changes) if problem.file == document.path else problem
        for problem in node.session.problems[before:]
    ]
    return job


def _where_written(node: Node, problem: Problem, changes: dict[str, Any]) -> Problem:
    """The problem at its line in the schedule where the schedule gives the field, not the job."""
    keys: Loc = tuple(problem.field.split("."))
    given: Any = changes
    for key in keys:
        if isinstance(given, dict):
            if key not in given:
                return problem
            given = given[key]
    return node.document.problem((*node.loc, *keys), problem.message, problem.remedy)


def _check_names_used(node: Node, document: Document, merged: Document) -> None:
    """Add a mistake for each input or output of the schedule that its job does not have."""
    for kind in ("inputs", "outputs"):
        known = document.data.get(kind)
        for name, entry in node.entries(kind):
            declared = isinstance(known, dict) and name in known
            if not declared and not is_used(merged.data, (kind, name)):
                entry.add_problem(
                    f"The job in {document.path.name} has no {kind[:-1]} {name!r}.",
                    suggest(name, known if isinstance(known, dict) else ()),
                )


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        merged = deepcopy(below)
        for key, value in above.items():
            merged[key] = _merge(below.get(key), value)
        return merged
    return above
