"""What a scoring job wrote: which file is whose, and whether every row is accounted for, once.

A row is its number in the file, from 0. A rejected row says its number; a scored row may, in a
column ``row``. Where no score file of a drop has that column, its rows are those that were not
rejected, in the order of the file: their count is checked then, not which they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlops_dagster.errors import MlopsError
from mlops_dagster.landing.row_numbers import RowTally
from mlops_dagster.landing.staging import Fact, Facts
from mlops_dagster.landing.values import (
    OVERWRITTEN,
    Batch,
    Drop,
    DropOutcome,
    DropState,
    Reason,
    Refusal,
)
from mlops_dagster.system.walk import Links, walk

if TYPE_CHECKING:
    from pyarrow import Array, RecordBatch, Schema

    from mlops_dagster.landing.row_numbers import Numbers

ROW = "row"
_ID = 32
_CHUNK = 1 << 16


class WrongOutput(MlopsError):
    """A job completed, but what it wrote cannot be committed.

    Args:
        drop: the id of the drop that is to blame, where one is.
    """

    def __init__(self, message: str, *, remedy: str | None = None, drop: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.drop = drop


@dataclass(frozen=True)
class Rejects:
    """A drop's rejected rows.

    Attributes:
        rows: how many are named one by one.
        whole: why the file as a whole was rejected, where it was.
    """

    files: tuple[Path, ...]
    rows: int
    whole: str | None


@dataclass(frozen=True)
class Results:
    """What became of each drop of a batch.

    Attributes:
        scores, rejects: by drop id, where there are any.
        outcomes: of every drop of the batch.
    """

    scores: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    rejects: Mapping[str, Rejects] = field(default_factory=dict)
    outcomes: Mapping[str, DropOutcome] = field(default_factory=dict)

    def rejected_tally(self, drop: str) -> RowTally:
        """The numbers of a drop's rejected rows."""
        rejects = self.rejects.get(drop)
        return _tally_of(self.outcomes[drop].rows or 0, rejects.files if rejects else ())

    def implied_numbers(self, drop: str) -> Numbers | None:
        """The numbers of a drop's scored rows, in order, where its score files do not tell them."""
        return None if _have_numbers(self.scores[drop]) else self.rejected_tally(drop).missing


def collect(batch: Batch, facts: Facts, scores: Path | None, rejected: Path | None) -> Results:
    """Sort a job's output files by drop, and account for every row.

    Args:
        scores, rejected: folders, or None where the job did not run or has no such output.

    Raises:
        WrongOutput: a file belongs to no drop of the batch or cannot be read, or a row of a drop
            is not among its rows scored and its rows rejected exactly once.
    """
    score_files = _files_by_drop(scores, facts.staged)
    reject_files = _files_by_drop(rejected, facts.staged)
    rejects = {}
    outcomes = {}
    for drop in batch.drops:
        with blame(drop.id):
            if files := reject_files.get(drop.id):
                rejects[drop.id] = _rejects(drop, files)
            outcomes[drop.id] = _outcome(
                drop, facts.by_drop[drop.id], score_files.get(drop.id, ()), rejects.get(drop.id)
            )
    return Results(score_files, rejects, outcomes)


@contextmanager
def blame(drop: str) -> Iterator[None]:
    """Say of which drop it is that an output is wrong."""
    try:
        yield
    except WrongOutput as error:
        error.drop = error.drop or drop
        raise


def file_schema(path: Path) -> Schema:
    """The columns of an output file. Raises WrongOutput where it cannot be read."""
    from pyarrow import parquet

    try:
        return parquet.read_schema(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def file_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[RecordBatch]:
    """The rows of an output file, a part at a time. Raises WrongOutput where it cannot be read."""
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches(_CHUNK, columns=columns and list(columns))
    except Exception as error:
        raise _unreadable(path, error) from error


def _files_by_drop(folder: Path | None, staged: Mapping[str, int]) -> dict[str, tuple[Path, ...]]:
    if folder is None or not folder.is_dir():
        return {}
    found: dict[str, tuple[Path, ...]] = {}
    for entry in walk(folder, links=Links.FOLLOW, leave_out=_is_hidden, special="skip"):
        drop = entry.name[:_ID]
        if drop not in staged:
            raise WrongOutput(
                f"The job wrote {entry.name!r}, which belongs to no drop of the batch.",
                remedy="Name each output file after its input file: it begins with the drop's id.",
            )
        found[drop] = (*found.get(drop, ()), Path(entry.path))
    return found


def _is_hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(("_", "."))


def _outcome(
    drop: Drop, fact: Fact, scores: tuple[Path, ...], rejects: Rejects | None
) -> DropOutcome:
    if fact.successor is not None:
        return DropOutcome(DropState.SUPERSEDED, reason=OVERWRITTEN)
    if fact.refusal is not None:
        return DropOutcome(DropState.QUARANTINED, reason=str(fact.refusal))
    rows = fact.rows or 0
    scored = sum(_row_count(path) for path in scores)
    if rejects is not None and rejects.whole is not None:
        if scored:
            raise WrongOutput(
                f"The job rejected drop {drop.path} as a whole and scored {scored:,} rows of it.",
                remedy="Write one of the two.",
            )
        refusal = Refusal(Reason.REJECTED, rejects.whole)
        return DropOutcome(DropState.QUARANTINED, rows, 0, rows, str(refusal))
    quarantined = rejects.rows if rejects is not None else 0
    if (problem := _problem(rows, scored, scores, rejects)) is not None:
        raise WrongOutput(
            f"Drop {drop.path} has {rows:,} rows; the job scored {scored:,} and rejected "
            f"{quarantined:,}: {problem}.",
            remedy="Every row must be in one of the job's outputs, once. Nothing was committed.",
        )
    if scored:
        return DropOutcome(DropState.SCORED, rows, scored, quarantined)
    reason = str(Refusal(Reason.REJECTED, "no row of it can be used"))
    return DropOutcome(DropState.QUARANTINED, rows, 0, quarantined, reason)


def _problem(
    rows: int, scored: int, scores: tuple[Path, ...], rejects: Rejects | None
) -> str | None:
    """Why the outputs do not hold every row once; None where they do."""
    import pyarrow as pa

    tally = _tally_of(rows, rejects.files if rejects is not None else ())
    if _have_numbers(scores):
        for path in scores:
            for numbers in _numbers(path):
                tally.add(numbers)
        return tally.problem
    left = len(tally.missing)
    if not tally.doubled and not tally.unknown and not tally.unnumbered and scored == left:
        return None
    if scored:
        # Which rows these are is not known; that there are too many or too few of them is.
        tally.add(pa.array(tally.missing[:scored]))
    return tally.problem or f"{scored - left:,} rows too many"


def _tally_of(rows: int, files: tuple[Path, ...]) -> RowTally:
    tally = RowTally(rows)
    for path in files:
        for numbers in _numbers(path):
            tally.add(numbers)
    return tally


def _have_numbers(files: tuple[Path, ...]) -> bool:
    with_numbers = [path for path in files if ROW in file_schema(path).names]
    if with_numbers and len(with_numbers) < len(files):
        absent = next(path for path in files if path not in with_numbers)
        raise WrongOutput(
            f"The column row is in {with_numbers[0].name} and not in {absent.name}.",
            remedy="Give it to every score file of a drop, or to none.",
        )
    return bool(with_numbers)


def _numbers(path: Path) -> Iterator[Array]:
    for part in file_rows(path, [ROW]):
        yield row_numbers(part.column(ROW), path)


def row_numbers(column: Array, path: Path) -> Array:
    """A column ``row`` as whole numbers; null for a whole file. Raises WrongOutput."""
    import pyarrow as pa

    types = pa.types
    kind = column.type
    try:
        if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
            return column.cast(pa.int64())
        problem = f"it has the type {kind}"
    except pa.ArrowInvalid as error:
        problem = str(error)
    raise WrongOutput(
        f"The column row of {path.name} does not hold row numbers: {problem}",
        remedy="Write the row's number in its file, from 0; give other content another name.",
    )


def _rejects(drop: Drop, files: tuple[Path, ...]) -> Rejects:
    rows, whole = 0, None
    for path in files:
        if absent := {ROW, "reason"} - set(file_schema(path).names):
            raise WrongOutput(
                f"The rejected rows in {path.name} have no column {' and '.join(sorted(absent))}.",
                remedy="Say the row's number in its file (null for the whole file) and the reason.",
            )
        for part in file_rows(path, [ROW, "reason"]):
            numbers, reasons = row_numbers(part.column(ROW), path), part.column("reason")
            rows += len(part) - numbers.null_count
            if numbers.null_count:
                whole = str(reasons.filter(numbers.is_null())[0].as_py())
    if whole is not None and rows:
        raise WrongOutput(
            f"The job rejected drop {drop.path} as a whole and {rows:,} rows of it one by one.",
            remedy="Write one row without a number, or one row for each that is rejected.",
        )
    return Rejects(files, rows, whole)


def _row_count(path: Path) -> int:
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> WrongOutput:
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return WrongOutput(
        f"The job's output {path.name} cannot be read: {type(error).__name__}: {first}",
        remedy="Write Parquet; rejected rows with the columns row and reason.",
    )
