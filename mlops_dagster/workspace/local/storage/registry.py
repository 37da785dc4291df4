"""Registered data and models: names, and immutable versions that count upwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from mlops_dagster.aml.names import (
    NAME_REMEDY,
    VERSION_REMEDY,
    is_asset_name,
    is_asset_version,
)
from mlops_dagster.aml.references import name_and_version
from mlops_dagster.errors import InvalidRequest, NotFound
from mlops_dagster.workspace.local.ground.state import State

Kind = Literal["data", "model"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS assets (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    type TEXT NOT NULL,
    uri TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    properties TEXT NOT NULL,
    source TEXT NOT NULL,
    job TEXT,
    UNIQUE (kind, name, version)
);
"""
# The service's own rules: "ModelVersions - Create Or Update" of the Azure ML REST reference
# (learn.microsoft.com/rest/api/azureml); a version is part of a path here.


@dataclass(frozen=True)
class Asset:
    """A version of a data asset or model.

    Attributes:
        uri: where its content lies.
        digest: of that content; empty for what lies on another machine.
        source: the address that it was registered from.
        job: the job whose output it is.
    """

    kind: Kind
    name: str
    version: str
    type: str
    uri: str
    digest: str
    source: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def reference(self) -> str:
        """``azureml:name:version``."""
        return f"azureml:{self.name}:{self.version}"


class Registry:
    """The registered assets of one home."""

    def __init__(self, state: State) -> None:
        self._state = state
        state.create(_SCHEMA)

    def add(
        self,
        kind: Kind,
        name: str,
        version: str | None,
        make: Callable[[str], Asset],
        *,
        job: str | None,
        source: str,
    ) -> Asset:
        """Add a version, under a lock that no other process can interleave.

        What stands there already is returned as it is: the version, where one is given, else what
        the same job has registered from the same source.

        Args:
            version: None for one more than the highest number.
            make: is given the version, does what belongs to it, and answers the asset.
        """
        with self._state.write() as connection:
            known = (
                _select(connection, kind, name, "version = ?", version)
                if version
                else _select(connection, kind, name, "job = ? AND source = ?", job, source)
            )
            if known:
                return known[0]
            asset = make(version or _next_version(connection, kind, name))
            _insert(connection, asset)
        return asset

    def find_of_job(self, kind: Kind, name: str, job: str | None, source: str) -> Asset | None:
        """What the job has already registered from this place under this name."""
        with self._state.read() as connection:
            known = _select(connection, kind, name, "job = ? AND source = ?", job, source)
        return known[0] if known else None

    def keeps(self, uri: str) -> Asset | None:
        """An asset whose content lies at an address or below it; None where there is none."""
        below = f"{uri.rstrip('/')}/"
        with self._state.read() as connection:
            row = connection.execute(
                "SELECT * FROM assets WHERE uri = ? OR substr(uri, 1, ?) = ? LIMIT 1",
                (uri.rstrip("/"), len(below), below),
            ).fetchone()
        return _asset(row) if row is not None else None

    def find(self, kinds: Sequence[Kind], name: str, version: str | None) -> Asset:
        """A version, or the one that was registered last; of the first kind that has it.

        Args:
            name: also with its version, as ``name:3``; see ``aml.references.name_and_version``.

        Raises NotFound, which tells the names or versions that there are; InvalidRequest.
        """
        name, version = name_and_version(name, version)
        for kind in kinds:
            versions = self.versions(kind, name)
            for asset in versions:
                if version is None or asset.version == version:
                    return asset
            if versions:
                known = tuple(asset.version for asset in versions)
                raise NotFound(
                    _KIND_NAMES[kind], f"azureml:{name}:{version}", remedy=_version_list(known)
                )
        known = tuple(sorted({asset.name for kind in kinds for asset in self.latest(kind)}))
        kind_names = " or ".join(_KIND_NAMES[kind] for kind in kinds)
        raise NotFound(
            kind_names, name, known=known, remedy=None if known else "None is registered."
        )

    def versions(self, kind: Kind, name: str) -> list[Asset]:
        """Every version of one name, newest first."""
        with self._state.read() as connection:
            return _select(connection, kind, name, "TRUE")

    def latest(self, kind: Kind) -> list[Asset]:
        """The newest version of every name, newest first."""
        query = """
            SELECT * FROM assets WHERE number IN
                (SELECT max(number) FROM assets WHERE kind = ? GROUP BY name)
            ORDER BY number DESC
        """
        with self._state.read() as connection:
            return [_asset(row) for row in connection.execute(query, (kind,))]

    def tag(self, kind: Kind, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version; None removes one. Nothing else of a version ever changes."""
        with self._state.write() as connection:
            for asset in _select(connection, kind, name, "version = ?", version):
                merged = {**asset.tags, **tags}
                kept = {key: value for key, value in merged.items() if value is not None}
                connection.execute(
                    "UPDATE assets SET tags = ? WHERE kind = ? AND name = ? AND version = ?",
                    (json.dumps(kept), kind, name, version),
                )


def check_name(kind: Kind, name: str, version: str | None) -> None:
    """Raises InvalidRequest for a name or version that Azure ML would not take."""
    if not is_asset_name(name):
        message = f"{name!r} cannot be the name of a {_KIND_NAMES[kind]}."
        raise InvalidRequest(message, remedy=NAME_REMEDY)
    if version is not None and not is_asset_version(version):
        message = f"{version!r} cannot be the version of a {_KIND_NAMES[kind]}."
        raise InvalidRequest(message, remedy=VERSION_REMEDY)


_KIND_NAMES: Mapping[Kind, str] = {"data": "data asset", "model": "model"}


def _next_version(connection: sqlite3.Connection, kind: Kind, name: str) -> str:
    rows = connection.execute(
        "SELECT version FROM assets WHERE kind = ? AND name = ?", (kind, name)
    )
    numbers = [int(row["version"]) for row in rows if row["version"].isdecimal()]
    return str(max(numbers, default=0) + 1)


def _select(
    connection: sqlite3.Connection, kind: Kind, name: str, condition: str, *values: str | None
) -> list[Asset]:
    rows = connection.execute(
        f"SELECT * FROM assets WHERE kind = ? AND name = ? AND {condition} ORDER BY number DESC",  # noqa: S608 - conditions stand in this file
        (kind, name, *values),
    )
    return [_asset(row) for row in rows]


def _insert(connection: sqlite3.Connection, asset: Asset) -> None:
    row = {
        **vars(asset),
        "tags": json.dumps(dict(asset.tags)),
        "properties": json.dumps(dict(asset.properties)),
        "created_at": asset.created_at.isoformat(),
    }
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO assets ({names}) VALUES ({values})", row)  # noqa: S608 - names are our own fields


def _asset(row: sqlite3.Row) -> Asset:
    return Asset(
        kind=row["kind"],
        name=row["name"],
        version=row["version"],
        type=row["type"],
        uri=row["uri"],
        digest=row["digest"],
        source=row["source"],
        description=row["description"],
        tags=json.loads(row["tags"]),
        properties=json.loads(row["properties"]),
        job=row["job"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def _version_list(known: Sequence[str]) -> str:
    return f"Its versions: {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}."
