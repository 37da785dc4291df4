"""What a project asks of its landing: when a batch is full, what is accepted, when to give up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


@dataclass(frozen=True)
class Limits:
    """When a batch is full, and how many may be open.

    Attributes:
        drops, size: at most so many drops and bytes in a batch; a larger file is one by itself.
        age: a batch that is not full is closed when its oldest drop has waited so long.
        open_batches: no batch is made while so many are open.
    """

    drops: int = 500
    size: int = 1 << 30
    age: timedelta = timedelta(seconds=30)
    open_batches: int = 4

    def __post_init__(self) -> None:
        if min(self.drops, self.size, self.open_batches) < 1 or self.age < timedelta(0):
            raise ValueError("drops, size and open_batches are at least 1, and age is not negative")


@dataclass(frozen=True)
class Acceptance:
    """What a file must be to be scored.

    Attributes:
        suffixes: of the kinds that the probe can read: ``.parquet``, ``.csv``.
        size: bytes at most.
        columns: at most.
        seconds, memory: what looking at one file may take before it counts as hostile.
    """

    suffixes: tuple[str, ...] = (".parquet", ".csv")
    size: int = 4 << 30
    columns: int = 5_000
    seconds: float = 60.0
    memory: int = 2 << 30


class SchemaEvolution(StrEnum):
    """What later batches may change in the columns of the scores.

    Attributes:
        WIDEN: new columns are added, and a column's type becomes a wider one where the new values
            need it, such as an integer a float; the table is then written anew, once.
        ADD_COLUMNS: new columns are added; a value that does not fit its column is refused.
        NONE: the columns are as the first batch made them.
    """

    WIDEN = "widen"
    ADD_COLUMNS = "add_columns"
    NONE = "none"


@dataclass(frozen=True)
class Rules:
    """What a project asks of its landing.

    Attributes:
        settle: how long a file must not have changed before it is taken.
        attempts: how many attempts may fail before a drop is given up; at least two of them, where
            there are as many, are attempts at that drop alone.
        retry_delay: the wait after the first failed attempt; it triples with every other one.
        timeout: how long a command step of the scoring pipeline may run where its YAML sets no
            limit; None for ever.
        schema_evolution: what later batches may change in the columns of the scores.
    """

    limits: Limits = Limits()
    acceptance: Acceptance = Acceptance()
    settle: timedelta = timedelta(0)
    attempts: int = 5
    retry_delay: timedelta = timedelta(seconds=10)
    timeout: timedelta | None = timedelta(hours=1)
    schema_evolution: SchemaEvolution = SchemaEvolution.WIDEN

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.retry_delay < timedelta(0):
            raise ValueError("attempts is at least 1, and retry_delay is not negative")
