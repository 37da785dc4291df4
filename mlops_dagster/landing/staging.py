"""Lay out a batch as the folder of files that its job reads; refuse what must not get there.

::

    staging/BATCH/facts.json                what was found of each drop
    staging/BATCH/drops/DROP_ID.parquet     a file a drop

The folder appears whole, by a rename, and is the same for every attempt of this machine. A batch
that was divided from another one takes over that one's files where they are still laid out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_dagster.errors import Conflict
from mlops_dagster.landing.probe import Probe
from mlops_dagster.landing.rules import Acceptance
from mlops_dagster.landing.sources import FileChanged, FileGone, FileRefused, Source
from mlops_dagster.landing.values import (
    Batch,
    Drop,
    Reason,
    Refusal,
    drops_from_json,
    drops_to_json,
)
from mlops_dagster.system import atomic

_TRIES = 5
_ID = 32  # digits of a drop's id, with which its file's name begins
_ABANDONED = 86_400.0  # seconds after which a half-made folder is nobody's


@dataclass(frozen=True)
class Fact:
    """What staging found of a drop; at most one of the three is set.

    Attributes:
        rows: in the file that was staged.
        refusal: why it was not.
        successor: the drop that had taken its place.
    """

    rows: int | None = None
    refusal: Refusal | None = None
    successor: Drop | None = None


@dataclass(frozen=True)
class Facts:
    """What staging found, by drop id."""

    by_drop: Mapping[str, Fact]

    @property
    def staged(self) -> dict[str, int]:
        """The rows of each drop that has a file."""
        return {drop: fact.rows for drop, fact in self.by_drop.items() if fact.rows is not None}

    @property
    def successors(self) -> tuple[Drop, ...]:
        found = (fact.successor for fact in self.by_drop.values())
        return tuple(drop for drop in found if drop is not None)

    @cached_property
    def digest(self) -> str:
        """8 hexadecimal digits; differs where what was staged differs."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:8]

    def to_json(self) -> str:
        return json.dumps({drop: _as_json(fact) for drop, fact in self.by_drop.items()})

    @classmethod
    def from_json(cls, text: str) -> Facts:
        return cls({drop: _from_json(body) for drop, body in json.loads(text).items()})


@dataclass(frozen=True)
class StagedBatch:
    """A batch that is laid out; ``folder`` holds its files."""

    folder: Path
    facts: Facts


def stage(batch: Batch, source: Source, acceptance: Acceptance, staging: Path) -> StagedBatch:
    """Lay out a batch, or find it laid out.

    Raises StorageUnavailable where the source cannot be read, OSError where the disk is full.
    """
    place = staging / batch.id
    for _ in range(_TRIES):
        if not place.exists():
            _make(batch, source, acceptance, place)
        # Another process may have ended the batch, and removed the folder, in between.
        with suppress(FileNotFoundError):
            facts = Facts.from_json((place / "facts.json").read_text(encoding="utf-8"))
            return StagedBatch(place / "drops", facts)
    raise Conflict(f"The folder {place} is removed again and again while it is made.")


def unstage(batch_id: str, staging: Path) -> None:
    """Remove what ``stage`` laid out; idempotent."""
    # A folder that is half removed must not be taken for a whole one.
    atomic.remove_folder(staging / batch_id)


def _make(batch: Batch, source: Source, acceptance: Acceptance, place: Path) -> None:
    """Make the batch's folder; where another process was faster, its folder stands."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made = place.with_name(f".{batch.id}.{uuid.uuid4().hex}")
    try:
        _fetch_drops(batch, source, acceptance, made)
        atomic.move(made, place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def staged_batches(staging: Path) -> list[str]:
    """The ids of the batches that are laid out; half-made folders that nobody owns are removed."""
    found = []
    for folder in staging.iterdir() if staging.exists() else ():
        if not folder.name.startswith("."):
            found.append(folder.name)
            continue
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
    return found


def _fetch_drops(batch: Batch, source: Source, acceptance: Acceptance, made: Path) -> None:
    folder = made / "drops"
    folder.mkdir(parents=True)
    facts = _reuse_files(batch, made.parent, folder)
    with Probe(acceptance) as probe:
        for drop in batch.drops:
            if drop.id not in facts:
                facts[drop.id] = _fetch_drop(drop, source, acceptance, folder, probe)
    facts = {drop.id: facts[drop.id] for drop in batch.drops}
    atomic.write(made / "facts.json", Facts(facts).to_json().encode(), durable=True)


def _reuse_files(batch: Batch, staging: Path, folder: Path) -> dict[str, Fact]:
    """What is known already of the drops of a divided batch, whose files are linked or copied."""
    if batch.divided_from is None:
        return {}
    whole = staging / batch.divided_from
    wanted = {drop.id for drop in batch.drops}
    try:
        known = Facts.from_json((whole / "facts.json").read_text(encoding="utf-8")).by_drop
        for file in (whole / "drops").iterdir():
            if file.name[:_ID] in wanted:
                _link_or_copy(file, folder / file.name)
    except FileNotFoundError:
        # It was laid out on another machine, or its last part has just ended.
        for file in folder.iterdir():
            file.unlink()
        return {}
    return {drop: fact for drop, fact in known.items() if drop in wanted}


def _link_or_copy(file: Path, to: Path) -> None:
    try:
        to.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:  # a disk without hard links
        shutil.copyfile(file, to)


def _fetch_drop(
    drop: Drop, source: Source, acceptance: Acceptance, folder: Path, probe: Probe
) -> Fact:
    suffix = PurePosixPath(drop.path).suffix.lower()
    file = folder / f"{drop.id}{suffix if suffix in acceptance.suffixes else ''}"
    refusal = _refusal_before_reading(drop, suffix, acceptance)
    try:
        if refusal is not None:
            return Fact(refusal=refusal)
        source.fetch(drop, file)
        found = probe.count_rows(file, suffix)
        if not isinstance(found, Refusal):
            return Fact(rows=found)
        refusal = found
    except FileRefused as error:
        refusal = error.refusal
    except FileGone:
        refusal = Refusal(Reason.DELETED, "it was deleted before it was read")
    except FileChanged as error:
        file.unlink(missing_ok=True)
        return Fact(successor=error.current)
    file.unlink(missing_ok=True)
    return Fact(refusal=refusal)


def _refusal_before_reading(drop: Drop, suffix: str, acceptance: Acceptance) -> Refusal | None:
    """Why the drop is refused for what is known of it before it is read, if it is."""
    from mlops_dagster.landing.sources.port import refuse_unsafe

    try:
        refuse_unsafe(drop)
    except FileRefused as error:
        return error.refusal
    if drop.size == 0:
        return Refusal(Reason.EMPTY, "it has no bytes")
    if drop.size > acceptance.size:
        return Refusal(
            Reason.TOO_LARGE, f"it has {drop.size:,} bytes; at most {acceptance.size:,} are taken"
        )
    if suffix not in acceptance.suffixes:
        known = ", ".join(acceptance.suffixes)
        return Refusal(
            Reason.UNKNOWN_TYPE, f"it ends in {suffix or 'no suffix'!r}; taken are {known}"
        )
    return None


def _as_json(fact: Fact) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if fact.rows is not None:
        body["rows"] = fact.rows
    if fact.refusal is not None:
        body["refusal"] = [fact.refusal.reason, fact.refusal.detail]
    if fact.successor is not None:
        body["successor"] = drops_to_json([fact.successor])[0]
    return body


def _from_json(body: Mapping[str, Any]) -> Fact:
    refusal = Refusal(Reason(body["refusal"][0]), body["refusal"][1]) if "refusal" in body else None
    successor = drops_from_json([body["successor"]])[0] if "successor" in body else None
    return Fact(body.get("rows"), refusal, successor)
