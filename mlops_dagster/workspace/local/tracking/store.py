"""A fresh MLflow store: a copy of one that was made before.

MLflow makes a store by carrying out the migrations of all its versions, which takes longer than
all else that a server does to start. The result is the same in every home, so it is kept in the
user's cache, one for each version of MLflow.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops_dagster.system import atomic
from mlops_dagster.system.sqlite import open_existing

ARTIFACT_ROOT = "mlflow-artifacts:/"


def make_store(place: Path) -> None:
    """Make an empty store in a file, where there is none yet."""
    if place.exists():
        return
    kept = _cache() / f"mlflow-{version('mlflow')}.db"
    if not kept.exists():
        with TemporaryDirectory() as folder:
            made = Path(folder, "mlflow.db")
            _migrate(made)
            with suppress(OSError):  # without a cache the next home waits as this one did
                kept.parent.mkdir(parents=True, exist_ok=True)
                atomic.write(kept, made.read_bytes())
            shutil.move(made, place)
    else:
        atomic.write(place, kept.read_bytes())


def _migrate(place: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{place}", ARTIFACT_ROOT)  # type: ignore[no-untyped-call]
    store.engine.dispose()
    # What lies beside the file, where it is in WAL mode, must be in it before it is copied.
    with closing(open_existing(place, read_only=False)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "mlops_dagster"
