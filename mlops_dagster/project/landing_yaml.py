"""``landing:`` of ``project.yaml``: where files land, and the pipeline that scores them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from mlops_dagster.aml.base import Value
from mlops_dagster.project.field_types import Cron, Owner, Span, TimeZone, Wait

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20}
_UNITS["gib"] = 1 << 30


def _parse_size(value: Any) -> Any:
    """``64 MB`` or a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]+)\s*", str(value))
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"Found {value!r}; a size such as '64 MB' is expected.")
    return int(found[1]) * _UNITS[found[2].lower()]


def _check_reference(value: str) -> str:
    if not re.fullmatch(_REFERENCE, value):
        raise ValueError(f"Found {value!r}; PIPELINE.OUTPUT/FILE is expected.")
    return value


_REFERENCE = r"^[^./]+\.[^./]+/.+$"

Size = Annotated[
    int,
    BeforeValidator(_parse_size),
    Field(ge=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^\s*\d+\s*([KkMmGg][Ii]?)?[Bb]\s*$"},
            ],
            "examples": ["64 MB"],
        }
    ),
]
Reference = Annotated[
    str,
    AfterValidator(_check_reference),
    WithJsonSchema(
        {"type": "string", "pattern": _REFERENCE, "examples": ["train.evaluation/scores.parquet"]}
    ),
]
Count = Annotated[int, Field(ge=1)]


class SourceDeclaration(Value):
    """Where files land: a folder, or a container of a storage account.

    Attributes:
        folder: below the state folder, or absolute.
        container, account: by name; the container alone may be its ``https://`` address.
        queue: the storage queue that gets the container's BlobCreated events, by name or address;
            None lists the container.
    """

    folder: str | None = None
    container: str | None = None
    account: str | None = None
    queue: str | None = None

    @model_validator(mode="after")
    def _one(self) -> SourceDeclaration:
        if (self.folder is None) == (self.container is None):
            found = "neither" if self.folder is None else "both"
            raise ValueError(f"Found {found} of folder and container; exactly one is expected.")
        if self.folder is not None and (self.account or self.queue):
            raise ValueError("account and queue belong to a container; found a folder.")
        for name in (self.container, self.queue):
            if name is not None and self.account is None and not name.startswith("https://"):
                raise ValueError(f"Found {name!r} without account; name the storage account.")
        return self


class BatchDeclaration(Value):
    """When a batch is full: files, bytes, or the age of its oldest file."""

    files: Count = 500
    bytes: Size = 1 << 30
    age: Wait = timedelta(seconds=30)


class DriftDeclaration(Value):
    """How far scores may be from those that the champion gave when it was evaluated.

    Attributes:
        reference: ``PIPELINE.OUTPUT/FILE`` of the run that made the champion, Parquet or CSV.
        column: of numbers, in the reference and in the scores.
        psi: the population stability index above which the check warns; 0.1 is a moderate shift,
            0.25 a large one (Siddiqi, "Credit Risk Scorecards", 2006).
        rows: fewer rows than this say nothing.
    """

    reference: Reference
    column: str
    psi: Annotated[float, Field(gt=0)] = 0.25
    rows: Count = 500


class TablesDeclaration(Value):
    """Where the Delta tables are: paths or URLs (``abfss://CONTAINER@ACCOUNT.dfs...``)."""

    scores: str
    quarantine: str


class LandingDeclaration(Value):
    """Files that land are scored by a pipeline.

    Attributes:
        input: of the pipeline; gets a folder with one file a drop.
        pattern: a glob over the path, in which ``*`` also stands for ``/``.
        prefix: of the path; may hold ``%Y``, ``%m``, ``%d``, ``%H``.
        marker: a file without which nothing in its folder counts, such as ``_SUCCESS``.
        settle: how long a file must not have changed, for writers that do not move a whole file in.
        max_open: no batch is made while so many are open.
        attempts: how many attempts may fail before a drop is given up.
        retry_delay: the wait after the first failed attempt; it triples with every other one.
        timeout: how long a command step of the pipeline may run where its YAML sets no limit.
        interval: between two looks of the sensor.
        fresh_within: a drop that has waited longer fails the check ``freshness``.
        cron: scores all that waits at these times as well, next to the sensor.
        schema_evolution: what later batches may change in the columns of the scores: add columns
            and widen types, add columns, or nothing.
        upkeep: when the tables are compacted, and versions older than ``keep`` deleted.
        tables: None for the state folder.
        journal: a folder or container address that several machines share.
        example: a script of the project that drops example files into the folder it is given.
    """

    pipeline: str
    input: str = "drops"
    source: SourceDeclaration
    pattern: str | None = None
    prefix: str = ""
    marker: str | None = None
    settle: Wait = timedelta(seconds=5)
    batch: BatchDeclaration = BatchDeclaration()
    max_open: Count = 4
    attempts: Count = 5
    retry_delay: Wait = timedelta(seconds=10)
    timeout: Span = timedelta(hours=1)
    interval: Span = timedelta(seconds=30)
    fresh_within: Span = timedelta(hours=1)
    cron: Cron | None = None
    schema_evolution: Literal["widen", "add_columns", "none"] = "widen"
    upkeep: Cron = "0 3 * * *"
    keep: Span = timedelta(days=7)
    timezone: TimeZone = "UTC"
    drift: DriftDeclaration | None = None
    tables: TablesDeclaration | None = None
    journal: str | None = None
    example: str | None = None
    description: str = ""
    owners: tuple[Owner, ...] = ()

    @model_validator(mode="after")
    def _kept_long_enough(self) -> LandingDeclaration:
        if self.keep < timedelta(hours=1):
            raise ValueError("keep is under an hour; a commit under way could lose its files.")
        return self


class PlaceDeclaration(Value):
    """Where a landing is in one workspace: ``.cloud/<workspace>/landing.yml``.

    What it leaves out is as in ``project.yaml``.
    """

    source: SourceDeclaration | None = None
    tables: TablesDeclaration | None = None
    journal: str | None = None
