"""What jobs have logged, read from MLflow's own store.

Not through its server: a look at an old job must not take the seconds in which that starts, and
the whole history of every metric is one query. The tables are those of MLflow's SQL store
(mlflow.store.tracking.dbmodels.models), the same since its first versions.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import NotFound
from mlops_dagster.system.sqlite import available, open_existing
from mlops_dagster.workspace.local.tracking.server import address_of, folder_of, read_status
from mlops_dagster.workspace.ports import MetricPoint, Tracked

if TYPE_CHECKING:
    from mlops_dagster.workspace.local.tracking.runs import Run

_LARGEST = 1.7976931348623157e308  # what MLflow's store keeps in place of infinity
_SYSTEM_TAGS = ("mlflow.", "mlops.")


def read_tracked(home: Path, jobs: Sequence[str]) -> Tracked:
    """What these jobs logged; where two logged the same parameter, the earlier in the list counts.

    Raises WorkspaceUnavailable where MLflow's store cannot be read.
    """
    from mlops_dagster.workspace.local.tracking.runs import Runs

    database = folder_of(home) / "mlflow.db"
    if not database.exists():
        return Tracked()
    runs = Runs(home).of(jobs)
    if not runs:
        return Tracked()
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    points: dict[str, list[MetricPoint]] = {}
    artifacts: dict[str, None] = {}
    with _opened(database) as connection:
        for run in _kept(connection, runs):
            params = {**_pairs(connection, "params", run.run_id), **params}
            tags = {**_pairs(connection, "tags", run.run_id), **tags}
            for name, point in _points(connection, run.run_id):
                points.setdefault(name, []).append(point)
            for prefix, folder in _folders(connection, home, run.run_id):
                artifacts.update(dict.fromkeys(_files(folder, prefix)))
    port = read_status(home).get("port")
    place = f"/#/experiments/{runs[0].experiment_id}/runs/{runs[0].run_id}"
    return Tracked(
        params=params,
        metrics={
            name: sorted(found, key=lambda point: (point.at, point.step))
            for name, found in sorted(points.items())
        },
        tags={name: tags[name] for name in sorted(tags) if not name.startswith(_SYSTEM_TAGS)},
        artifacts=tuple(sorted(artifacts)),
        url=address_of(port) + place if port else None,
    )


def read_artifact(home: Path, jobs: Sequence[str], path: str) -> bytes:
    """The content of a file that one of these jobs logged. Raises NotFound."""
    found = artifacts_of(home, jobs)
    if path in found:
        return found[path].read_bytes()
    raise NotFound(
        "artifact", path, known=tuple(found), remedy=None if found else "None was logged."
    )


def artifacts_of(home: Path, jobs: Sequence[str]) -> dict[str, Path]:
    """Where the files that these jobs logged lie, by their paths.

    Raises WorkspaceUnavailable where MLflow's store cannot be read.
    """
    from mlops_dagster.workspace.local.tracking.runs import Runs

    database = folder_of(home) / "mlflow.db"
    if not database.exists() or not (runs := Runs(home).of(jobs)):
        return {}
    found: dict[str, Path] = {}
    with _opened(database) as connection:
        for run in _kept(connection, runs):
            for prefix, folder in _folders(connection, home, run.run_id):
                for name in _files(folder, prefix):
                    found.setdefault(name, folder / name.removeprefix(prefix))
    return found


def values_of(home: Path, jobs: Sequence[str], metric: str) -> dict[str, list[float]]:
    """What each of these jobs logged for one metric, oldest first; NaN is no value.

    Raises WorkspaceUnavailable where MLflow's store cannot be read.
    """
    from mlops_dagster.workspace.local.tracking.runs import Runs

    found: dict[str, list[float]] = {job: [] for job in jobs}
    database = folder_of(home) / "mlflow.db"
    if not jobs or not database.exists():
        return found
    runs = Runs(home)
    query = (
        "SELECT value FROM metrics WHERE key = ? AND NOT is_nan AND run_uuid IN"
        " (SELECT value FROM json_each(?)) ORDER BY timestamp, step, rowid"
    )
    with _opened(database) as connection:
        for job in jobs:
            ids = json.dumps([run.run_id for run in runs.of([job])])
            rows = connection.execute(query, (metric, ids))
            found[job] = [_real(row["value"]) for row in rows]
    return found


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    readable = available(
        f"MLflow's store {database} cannot be read",
        remedy="Check its permissions, and that MLflow's version is one that this package names.",
    )
    # Not read-only: SQLite may have to take back what a killed server left half-written.
    with readable, closing(open_existing(database, read_only=False)) as connection:
        yield connection


def _kept(connection: sqlite3.Connection, runs: Sequence[Run]) -> list[Run]:
    """The runs that nobody has deleted."""
    query = "SELECT 1 FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'"
    return [run for run in runs if connection.execute(query, (run.run_id,)).fetchone()]


def _pairs(connection: sqlite3.Connection, table: str, run: str) -> dict[str, str]:
    query = f"SELECT key, value FROM {table} WHERE run_uuid = ?"  # noqa: S608 - one of two names
    return {row["key"]: row["value"] for row in connection.execute(query, (run,))}


def _points(connection: sqlite3.Connection, run: str) -> Iterator[tuple[str, MetricPoint]]:
    query = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ?"
    for row in connection.execute(query, (run,)):
        value = math.nan if row["is_nan"] else _real(row["value"])
        at = datetime.fromtimestamp(row["timestamp"] / 1000, UTC)
        yield row["key"], MetricPoint(value, row["step"], at)


def _real(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) >= _LARGEST else value


def _folders(connection: sqlite3.Connection, home: Path, run: str) -> Iterator[tuple[str, Path]]:
    """Where the run's files lie, and those of the models that it logged, under their names."""
    places = [
        ("", row["artifact_uri"])
        for row in connection.execute(
            "SELECT artifact_uri FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'",
            (run,),
        )
    ]
    places += [
        (f"{row['name']}/", row["artifact_location"])
        for row in connection.execute(
            "SELECT name, artifact_location FROM logged_models WHERE source_run_id = ?", (run,)
        )
    ]
    root = folder_of(home) / "artifacts"
    for prefix, uri in places:
        folder = root / str(uri).removeprefix("mlflow-artifacts:").lstrip("/")
        if folder.is_dir():
            yield prefix, folder


def _files(folder: Path, prefix: str) -> list[str]:
    return [
        prefix + Path(path, name).relative_to(folder).as_posix()
        for path, _, names in os.walk(folder)
        for name in names
    ]
