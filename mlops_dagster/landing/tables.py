"""The two Delta tables of a landing: where they are, how they are opened, what is read of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import RecordBatch, Schema
    from pyarrow.fs import FileSystem

_RETENTION = "delta.setTransactionRetentionDuration"
# What Delta's library takes for something else in the path of a folder, or panics at.
_STRANGE = re.compile(r"%[0-9A-Fa-f]{2}|[\[\]\\^|]|[\x00-\x1f\x7f]")
_READABLE_FEATURES = {"timestampNtz"}
# Statistics of times are cut to milliseconds ("Per-file Statistics" in Delta's PROTOCOL.md).
_COARSE = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Tables:
    """Where the two tables are: paths or URLs (``abfss://CONTAINER@ACCOUNT.dfs...``).

    Raises InvalidRequest for a path that Delta's library does not open.

    Attributes:
        options: of the storage, by the names of the ``object_store`` crate; never printed.
    """

    scores: str
    quarantine: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for uri in (self.scores, self.quarantine):
            found = _STRANGE.search(uri) if "://" not in uri else None
            if found is not None:
                raise InvalidRequest(
                    f"The table {uri!r} has {found[0]!r} in its path, which Delta cannot open.",
                    remedy="Choose another state folder (MLOPS_HOME), or set landing.tables.",
                )

    def open(self, uri: str) -> DeltaTable | None:
        """The table at ``uri``; None where there is none yet.

        Raises WorkspaceUnavailable where it cannot be read, and InvalidRequest where it is set to
        forget application transactions: it could then not tell what it holds.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            table = DeltaTable(uri, storage_options=dict(self.options))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise table_unavailable(uri, error) from error
        if _RETENTION in table.metadata().configuration:
            raise InvalidRequest(
                f"The table {uri} has {_RETENTION} set; drops could be scored twice.",
                remedy=f"ALTER TABLE ... UNSET TBLPROPERTIES ('{_RETENTION}')",
            )
        return table


def table_unavailable(uri: str, error: BaseException) -> WorkspaceUnavailable:
    """A table's own error as ours; its message may hold no more than the first line."""
    return WorkspaceUnavailable(
        f"The table {uri} cannot be used: {first_line(error)}",
        remedy="Check the free space, the permissions and that it is reachable; then run it again.",
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or ["no message"])[0]


def table_schema(table: DeltaTable) -> Schema:
    """The table's columns as Arrow has them."""
    import pyarrow as pa

    return pa.schema(table.schema().to_arrow())


def table_files(table: DeltaTable) -> FileSystem:
    """The folder of the table, its log included, as a file system."""
    from deltalake.fs import DeltaStorageHandler
    from pyarrow.fs import PyFileSystem

    return PyFileSystem(DeltaStorageHandler.from_table(table._table))


def table_rows(
    table: DeltaTable,
    columns: Sequence[str] | None = None,
    *,
    drops: Collection[str] | None = None,
    written: tuple[str, datetime] | None = None,
) -> Iterator[RecordBatch]:
    """The rows of a table, a part at a time, in the table's own types.

    The files are read directly: Delta's dataset for pyarrow looks at the statistics of every file
    of the table. No filter on text goes to pyarrow: what a deletion leaves behind is written as
    ``string_view``, with which it cannot compare.

    Args:
        columns: by default all.
        drops: only the rows of these.
        written: a column of times and the time that it has in the rows that are wanted; files that
            hold no such row are not opened.

    Raises WorkspaceUnavailable where the table cannot be read.
    """
    import pyarrow as pa
    from deltalake.exceptions import DeltaError
    from pyarrow import compute, dataset

    uri = table.table_uri
    features = set(table.protocol().reader_features or ()) - _READABLE_FEATURES
    if features:
        raise WorkspaceUnavailable(
            f"The table {uri} uses {', '.join(sorted(features))}, which cannot be read here.",
            remedy="Take the feature from the table: ALTER TABLE ... DROP FEATURE ...",
        )
    read = list(columns or table_schema(table).names)
    wanted = None
    if written is not None:
        wanted = dataset.field(written[0]) == pa.scalar(written[1], pa.timestamp("us", "UTC"))
    among = pa.array(drops, pa.string()) if drops is not None else None
    try:
        paths = _data_files(table, written)
        if paths:
            rows = dataset.dataset(
                paths, schema=table_schema(table), format="parquet", filesystem=table_files(table)
            )
            with_drop = read if "drop_id" in read else [*read, "drop_id"]
            for part in rows.to_batches(columns=with_drop, filter=wanted):
                kept = part
                if among is not None:
                    kept = part.filter(compute.is_in(part.column("drop_id"), among))
                yield kept.select(read)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise table_unavailable(uri, error) from error


def _data_files(table: DeltaTable, written: tuple[str, datetime] | None) -> list[str]:
    """The files of the table, relative to it; those that may hold rows of that time."""
    import pyarrow as pa
    from pyarrow import compute

    files = pa.table(table.get_add_actions(flatten=True))
    if written is not None:
        column, at = written
        bounds = [f"{side}.{column}" for side in ("min", "max")]
        if set(bounds) <= set(files.column_names):
            low, high = (files[bound].cast(pa.timestamp("us", "UTC")) for bound in bounds)
            may_hold = compute.and_(
                compute.less_equal(low, pa.scalar(at + _COARSE, low.type)),
                compute.greater_equal(high, pa.scalar(at - _COARSE, high.type)),
            )
            files = files.filter(compute.fill_null(may_hold, True))
    return [unquote(path) for path in files["path"].to_pylist()]
