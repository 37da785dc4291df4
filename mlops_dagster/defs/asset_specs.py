"""What Dagster's ``AssetSpec`` takes, made of what a project declares: its schema, partitions, version."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_dagster.aml.job import ComponentBase, Step
from mlops_dagster.project import Partitions, TableSchema
from mlops_dagster.system.walk import Links, walk

# How each window begins (cron), how its key is written, and how long it is; months have no length.
_WINDOWS = {
    "hour": ("0 * * * *", "%Y-%m-%d-%H:%M", timedelta(hours=1)),
    "day": ("0 0 * * *", "%Y-%m-%d", timedelta(days=1)),
    "week": ("0 0 * * {weekday}", "%Y-%m-%d", timedelta(weeks=1)),
    "month": ("0 0 1 * *", "%Y-%m", None),
}
_LEFT_OUT = {"__pycache__", "node_modules"}
_MOST_FILES = 2000
_LARGE_FILE = 1_000_000


def column_schema(schema: TableSchema) -> dict[str, Any]:
    """The columns of a product, as the UI shows them."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=column.dtype,
            description=column.description or None,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable, unique=column.unique, other=list(column.checks)
            ),
        )
        for column in schema.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def partitions_definition(declared: Partitions | None) -> dg.TimeWindowPartitionsDefinition | None:
    """Dagster's definition of the windows that a pipeline declares."""
    if declared is None:
        return None
    begins, form, length = _WINDOWS[declared.every]
    end = None
    if declared.last is not None:
        next_month = (declared.last.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = declared.last + length if length else next_month
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=begins.format(weekday=declared.first.isoweekday() % 7),
        start=declared.first.strftime(form),
        end=end and end.strftime(form),
        fmt=form,
        timezone=declared.timezone,
    )


def code_version(step: Step) -> str:
    """A digest of all that a step runs: its component, its settings and its code's files."""
    digest = hashlib.sha256(step.model_dump_json(exclude={"component": {"source"}}).encode())
    for folder in code_folders(step.component):
        for path in _files(folder):
            digest.update(path.relative_to(folder).as_posix().encode())
            size = path.stat().st_size
            digest.update(path.read_bytes() if size <= _LARGE_FILE else str(size).encode())
    return digest.hexdigest()[:12]


def code_folders(component: ComponentBase) -> list[Path]:
    """The folders of this machine that a component, with its steps, takes its code from."""
    task = getattr(component, "task", None)
    found = [getattr(component, "code", None), getattr(task, "code", None)]
    folders = [Path(code) for code in found if code and Path(code).is_dir()]
    for step in getattr(component, "jobs", {}).values():
        folders.extend(code_folders(step.component))
    return list(dict.fromkeys(folders))


def _files(folder: Path) -> list[Path]:
    """The files below a folder, sorted; bounded, since a location must load fast."""
    found = walk(folder, links=Links.SKIP, leave_out=_is_left_out, special="skip")
    return sorted(Path(file.path) for file in islice(found, _MOST_FILES))


def _is_left_out(name: str) -> bool:
    last = name.rstrip("/").rpartition("/")[2]
    return last.startswith(".") or last in _LEFT_OUT
