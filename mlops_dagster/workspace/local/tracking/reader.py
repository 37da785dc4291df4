"""What jobs have logged, read from MLflow's own store.

Not through its server: a look at an old job must not take the seconds in which that starts, and
the whole history of every metric is one query. The tables are those of MLflow's SQL store
(mlflow.store.tracking.dbmodels.models), the same since its first versions.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import NotFound
from mlops_dagster.system.sqlite import available, open_existing
from mlops_dagster.system.walk import Links, walk
from mlops_dagster.workspace.local.tracking.pages import page
from mlops_dagster.workspace.local.tracking.service import folder_of
from mlops_dagster.workspace.ports import ChildRun, MetricPoint, Tracked

if TYPE_CHECKING:
    from mlops_dagster.workspace.local.tracking.runs import Run

_LARGEST = 1.7976931348623157e308  # what MLflow's store keeps in place of infinity
_SYSTEM_TAGS = ("mlflow.", "mlops.")


def read_tracked(home: Path, jobs: Sequence[str]) -> Tracked:
    """What these jobs logged; where two logged the same parameter, the earlier in the list counts.

    Raises WorkspaceUnavailable where MLflow's store cannot be read.
    """
    with _stored_runs(home, jobs) as runs:
        logged = [(run, _read_run(connection, home, run)) for connection, run in runs]
    own = [values for run, values in logged if run.main]
    return Tracked(
        params=_merge(values.params for values in own),
        metrics=_by_time(values.metrics for values in own),
        tags=_merge(values.tags for values in own),
        artifacts=tuple(sorted({path for values in own for path in values.artifacts})),
        url=logged[0][1].url if logged else None,
        runs=tuple(values for run, values in logged if not run.main),
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
    found: dict[str, Path] = {}
    with _stored_runs(home, jobs) as runs:
        for connection, run in runs:
            for name, path in _artifacts(connection, home, run).items():
                found.setdefault(name, path)
    return found


def values_of(home: Path, jobs: Sequence[str], metric: str) -> dict[str, list[float]]:
    """What each of these jobs logged for one metric, oldest first; NaN is no value.

    Raises WorkspaceUnavailable where MLflow's store cannot be read.
    """
    values: dict[str, list[float]] = {job: [] for job in jobs}
    query = (
        "SELECT value FROM metrics WHERE key = ? AND NOT is_nan AND run_uuid = ?"
        " ORDER BY timestamp, step, rowid"
    )
    with _stored_runs(home, jobs) as runs:
        for connection, run in runs:
            if run.main:
                rows = connection.execute(query, (metric, run.run_id))
                values[run.job] = [_real(row["value"]) for row in rows]
    return values


@contextmanager
def _stored_runs(
    home: Path, jobs: Sequence[str]
) -> Iterator[Sequence[tuple[sqlite3.Connection, Run]]]:
    """The runs of these jobs that nobody has deleted, each with MLflow's store to read it from."""
    from mlops_dagster.workspace.local.tracking.runs import Runs

    database = folder_of(home) / "mlflow.db"
    runs = Runs(home).of(jobs) if jobs and database.exists() else []
    if not runs:
        yield ()
        return
    readable = available(
        f"MLflow's store {database} cannot be read",
        remedy="Check its permissions, and that MLflow's version is one that this package names.",
    )
    # Not read-only: SQLite may have to take back what a killed server left half-written.
    with readable, closing(open_existing(database, read_only=False)) as connection:
        yield [(connection, run) for run in runs if _is_active(connection, run)]


def _read_run(connection: sqlite3.Connection, home: Path, run: Run) -> ChildRun:
    """All that one run logged."""
    tags = _pairs(connection, "tags", run.run_id)
    points: dict[str, list[MetricPoint]] = {}
    for name, point in _points(connection, run.run_id):
        points.setdefault(name, []).append(point)
    return ChildRun(
        params=_pairs(connection, "params", run.run_id),
        metrics=_by_time([points]),
        tags={name: tags[name] for name in sorted(tags) if not name.startswith(_SYSTEM_TAGS)},
        artifacts=tuple(sorted(_artifacts(connection, home, run))),
        url=page(home, run.experiment_id, run.run_id),
        job=run.job,
        name=tags.get("mlflow.runName", run.run_id),
        run_id=run.run_id,
    )


def _merge(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for mapping in mappings:
        merged = {**mapping, **merged}
    return dict(sorted(merged.items()))


def _by_time(
    mappings: Iterable[Mapping[str, Sequence[MetricPoint]]],
) -> dict[str, list[MetricPoint]]:
    points: dict[str, list[MetricPoint]] = {}
    for mapping in mappings:
        for name, more in mapping.items():
            points.setdefault(name, []).extend(more)
    return {
        name: sorted(found, key=lambda point: (point.at, point.step))
        for name, found in sorted(points.items())
    }


def _is_active(connection: sqlite3.Connection, run: Run) -> bool:
    query = "SELECT 1 FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'"
    return connection.execute(query, (run.run_id,)).fetchone() is not None


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


def _artifacts(connection: sqlite3.Connection, home: Path, run: Run) -> dict[str, Path]:
    """The files that a run logged, by the names under which a job shows them.

    Those of the models that it logged lie in folders of their own, below the model's name.
    """
    places = connection.execute(
        "SELECT '' AS name, artifact_uri AS uri FROM runs WHERE run_uuid = :run"
        " UNION ALL"
        " SELECT name || '/', artifact_location FROM logged_models WHERE source_run_id = :run",
        {"run": run.run_id},
    )
    root = folder_of(home) / "artifacts"
    outside = "" if run.main else f"runs/{run.run_id}/"
    found: dict[str, Path] = {}
    for place in places:
        folder = root / str(place["uri"]).removeprefix("mlflow-artifacts:").lstrip("/")
        if folder.is_dir():
            for file in walk(folder, links=Links.SKIP, special="skip"):
                found[f"{outside}{place['name']}{file.name}"] = Path(file.path)
    return found
