"""Keeping the tables small, without forgetting which drops they hold."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable
from mlops_dagster.landing.tables import Tables, table_unavailable

if TYPE_CHECKING:
    from deltalake import DeltaTable

_TRIES = 10
_LEAST = timedelta(hours=1)
_SMALL = 16 << 20  # bytes
_MANY = 100


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table: files added and removed; for ``expire``, deleted for good."""

    table: str
    added: int
    removed: int


def compact(tables: Tables) -> list[Upkeep]:
    """Write the small files of both tables together; may run beside commits.

    Raises WorkspaceUnavailable where a table cannot be written.
    """
    return _on_both_tables(tables, _compact)


def compact_small_files(tables: Tables) -> None:
    """Compact a table that has gathered many small files since it was compacted last.

    Opening a table and looking for rows in it takes as long as it has files. Called after every
    commit, this keeps what a batch costs from growing with the number of batches before it. What
    cannot be done now is left to the next batch.
    """
    with suppress(WorkspaceUnavailable):
        for uri in (tables.quarantine, tables.scores):
            table = tables.open(uri)
            if table is not None and _small_files(table) >= _MANY:
                _retry_on_conflict(tables, uri, _compact)


def expire(tables: Tables, *, keep: timedelta = timedelta(days=7)) -> list[Upkeep]:
    """Delete files that no version of the last ``keep`` needs, and log entries before a checkpoint.

    The checkpoint that is written first holds every application transaction, so that no drop is
    forgotten: transactions only expire where ``delta.setTransactionRetentionDuration`` is set, and
    such a table is refused.

    Raises:
        InvalidRequest: ``keep`` is under an hour: a commit under way could lose its files.
        WorkspaceUnavailable: a table cannot be written.
    """
    if keep < _LEAST:
        raise InvalidRequest(
            f"Found keep={keep}; a commit that is under way could lose its files.",
            remedy="Keep an hour at least, and a week where others read older versions.",
        )
    hours = int(keep.total_seconds() // 3600)

    def operation(table: DeltaTable) -> tuple[int, int]:
        table.create_checkpoint()
        table.cleanup_metadata()
        gone = table.vacuum(hours, dry_run=False, enforce_retention_duration=False)
        return 0, len(gone)

    return _on_both_tables(tables, operation)


def _compact(table: DeltaTable) -> tuple[int, int]:
    metrics: Mapping[str, Any] = table.optimize.compact()
    return metrics["numFilesAdded"], metrics["numFilesRemoved"]


def _small_files(table: DeltaTable) -> int:
    import pyarrow as pa
    from pyarrow import compute

    sizes = pa.table(table.get_add_actions(flatten=True))["size_bytes"]
    return int(compute.sum(compute.less(sizes, _SMALL)).as_py() or 0)


def _on_both_tables(
    tables: Tables, operation: Callable[[DeltaTable], tuple[int, int]]
) -> list[Upkeep]:
    done = []
    for uri in (tables.quarantine, tables.scores):
        table = tables.open(uri)
        if table is not None:
            done.append(Upkeep(uri, *_retry_on_conflict(tables, uri, operation)))
    return done


def _retry_on_conflict(
    tables: Tables, uri: str, operation: Callable[[DeltaTable], tuple[int, int]]
) -> tuple[int, int]:
    """Do it on the newest version, once more where a commit came in between."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    for attempt in range(_TRIES):
        table = tables.open(uri)
        try:
            return operation(table) if table is not None else (0, 0)
        except CommitFailedError as error:
            if attempt == _TRIES - 1:
                raise table_unavailable(uri, error) from error
            time.sleep(random.uniform(0.05, 0.2))
        except (DeltaError, OSError) as error:
            raise table_unavailable(uri, error) from error
    return 0, 0
