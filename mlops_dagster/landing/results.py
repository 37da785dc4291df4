"""What a scoring job wrote: which file is whose, and whether every row is accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_dagster.errors import MlopsError
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

_ID = 32


class WrongOutput(MlopsError):
    """A job completed, but what it wrote does not account for every row once.

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


def collect(batch: Batch, facts: Facts, scores: Path | None, rejected: Path | None) -> Results:
    """Sort a job's output files by drop and count.

    Args:
        scores, rejected: folders, or None where the job did not run or has no such output.

    Raises:
        WrongOutput: a file belongs to no drop of the batch or cannot be read, or a drop's rows
            are not its rows scored plus its rows rejected.
    """
    staged = facts.staged
    score_files = _by_drop(scores, staged)
    rejects = {drop: _rejects(drop, files) for drop, files in _by_drop(rejected, staged).items()}
    outcomes = {
        drop.id: _outcome(
            drop, facts.by_drop[drop.id], score_files.get(drop.id, ()), rejects.get(drop.id)
        )
        for drop in batch.drops
    }
    return Results(score_files, rejects, outcomes)


def _by_drop(folder: Path | None, staged: Mapping[str, int]) -> dict[str, tuple[Path, ...]]:
    found: dict[str, tuple[Path, ...]] = {}
    for path in _files(folder) if folder is not None else ():
        inside = path.relative_to(folder).as_posix() if folder is not None else ""
        drop = inside[:_ID]
        if drop not in staged:
            raise WrongOutput(
                f"The job wrote {inside!r}, which belongs to no drop of the batch.",
                remedy="Name each output file after its input file: it begins with the drop's id.",
            )
        found[drop] = (*found.get(drop, ()), path)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(("_", ".")) for part in parts):
            yield path


def _outcome(
    drop: Drop, fact: Fact, scores: tuple[Path, ...], rejects: Rejects | None
) -> DropOutcome:
    if fact.successor is not None:
        return DropOutcome(DropState.SUPERSEDED, reason=OVERWRITTEN)
    if fact.refusal is not None:
        return DropOutcome(DropState.QUARANTINED, reason=str(fact.refusal))
    rows = fact.rows or 0
    scored = sum(_row_count(path) for path in scores)
    if rejects is not None and rejects.whole is not None and not scored:
        refusal = Refusal(Reason.REJECTED, rejects.whole)
        return DropOutcome(DropState.QUARANTINED, rows, 0, rows, str(refusal))
    quarantined = rejects.rows if rejects is not None else 0
    if scored + quarantined != rows or (rejects is not None and rejects.whole is not None):
        raise WrongOutput(
            f"Drop {drop.path} has {rows:,} rows; the job scored {scored:,} and rejected "
            f"{quarantined:,}.",
            remedy="Every row must be in one of the job's outputs, once. Nothing was committed.",
            drop=drop.id,
        )
    if scored:
        return DropOutcome(DropState.SCORED, rows, scored, quarantined)
    reason = str(Refusal(Reason.REJECTED, "no row of it can be used"))
    return DropOutcome(DropState.QUARANTINED, rows, 0, quarantined, reason)


def _rejects(drop: str, files: tuple[Path, ...]) -> Rejects:
    from pyarrow import parquet

    rows, whole = 0, None
    for path in files:
        try:
            table = parquet.read_table(path, columns=["row", "reason"], partitioning=None)
        except Exception as error:
            raise _unreadable(path, error) from error
        for row, reason in zip(
            *(table[name].to_pylist() for name in ("row", "reason")), strict=True
        ):
            if row is None:
                whole = str(reason)
            else:
                rows += 1
    if whole is not None and rows:
        raise WrongOutput(
            f"The job rejected drop {drop} as a whole and {rows:,} rows of it one by one.",
            remedy="Write one row without a number, or one row for each that is rejected.",
            drop=drop,
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
        drop=path.name[:_ID],
    )
