"""Reading the rows of a data product, and what Pandera says of them.

Parquet and CSV, one file or a folder of them. pandas, pyarrow and Pandera are imported where they
are used: a code location loads without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.system.walk import Links, walk

if TYPE_CHECKING:
    import pandas as pd

_CELL = 80
_FORMS = (".parquet", ".csv")
_MOST_EXAMPLES = 50


@dataclass(frozen=True)
class Violation:
    """A rule of a schema that some rows break.

    Attributes:
        column: empty for a rule of the whole table.
        count: how many rows, or 1 where it is not about rows.
        examples: values that break it, with where they stand (``flights.parquet row 12: 'x'``).
    """

    column: str
    rule: str
    count: int
    examples: tuple[str, ...]


def table_files(path: Path) -> list[Path]:
    """The files of rows at a path, sorted by name; empty where there are none that can be read."""
    if path.is_file():
        return [path] if _form(path) else []
    found = (Path(file.path) for file in walk(path, links=Links.FOLLOW, special="skip"))
    return sorted(file for file in found if not file.name.startswith((".", "_")) and _form(file))


def count_rows(files: Iterable[Path]) -> int:
    """The number of rows; for Parquet from the footers alone."""
    from pyarrow import parquet

    return sum(
        parquet.read_metadata(file).num_rows if _form(file) == ".parquet" else len(_read(file))
        for file in files
    )


def read_rows(files: Sequence[Path]) -> pd.DataFrame:
    """All rows of all files, numbered from 0 in the order of the files."""
    import pandas as pd

    frames = [_read(file) for file in files]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def first_rows(file: Path, count: int) -> pd.DataFrame:
    """The first rows of a file, without reading the rest of it."""
    import pandas as pd
    from pyarrow import parquet

    if _form(file) == ".csv":
        return _with_folders(pd.read_csv(file, nrows=count), file)
    with parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=count):
            return _with_folders(_frame(batch), file)
        return _with_folders(_frame(opened.schema_arrow.empty_table()), file)


def violations(frame: pd.DataFrame, schema: Path, files: Sequence[Path]) -> list[Violation]:
    """Every rule of a Pandera schema that the rows break, the most broken first.

    Raises ValueError where Pandera cannot read the schema.
    """
    import pandera.errors
    import pandera.pandas

    try:
        rules = pandera.pandas.DataFrameSchema.from_yaml(schema)
    except Exception as error:  # noqa: BLE001 - Pandera raises whatever a wrong file leads to
        raise ValueError(f"Pandera cannot read {schema.name}: {error}") from None
    try:
        rules.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        return _violations(error.failure_cases, _RowLocations(files))
    return []


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; long cells are cut, and nothing in a cell breaks out of it."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd
    from pyarrow import parquet

    if _form(file) == ".csv":
        return _with_folders(pd.read_csv(file), file)
    with parquet.ParquetFile(file) as opened:
        return _with_folders(_frame(opened.read()), file)


def _with_folders(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Add what folders such as ``year=2013`` say, where the file itself does not."""
    for part in file.parts[:-1]:
        column, sign, value = part.partition("=")
        if sign and column not in frame.columns:
            frame[column] = int(value) if value.isdigit() else value
    return frame


def _form(file: Path) -> str | None:
    """``.parquet`` or ``.csv``; a job's ``uri_file`` has no suffix, so its first bytes tell."""
    suffix = file.suffix.lower()
    if suffix in _FORMS:
        return suffix
    if suffix:
        return None
    with file.open("rb") as opened:
        start = opened.read(1_024)
    if start.startswith(b"PAR1"):
        return ".parquet"
    return ".csv" if b"," in start.partition(b"\n")[0] and b"\0" not in start else None


def _frame(table: Any) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _violations(cases: pd.DataFrame, locations: _RowLocations) -> list[Violation]:
    """One violation for each column and rule; a rule of the whole table has no column."""
    examples: dict[tuple[str, str], list[str]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for case in cases.rename(columns={"index": "row"}).itertuples():
        column = "" if _is_missing(case.column) else str(case.column)
        key = (column, str(case.check))
        counts[key] += 1
        if counts[key] <= _MOST_EXAMPLES:
            examples.setdefault(key, []).append(locations.describe(case.row, case.failure_case))
    return [Violation(*key, count, tuple(examples[key])) for key, count in counts.most_common()]


def _is_missing(value: object) -> bool:
    """None or NaN, which is how pandas leaves a cell empty."""
    return value is None or value != value  # noqa: PLR0124 - true of NaN alone


class _RowLocations:
    """Which file, and which row of it, a row of the joined table is."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._ends: list[int] | None = None

    def describe(self, row: object, value: object) -> str:
        if _is_missing(row):
            return f"{value!r}"
        position, before = int(str(row).partition(".")[0]), 0
        for file, end in zip(self._files, self._row_ends(), strict=True):
            if position < end:
                return f"{file.name} row {position - before}: {value!r}"
            before = end
        return f"row {position}: {value!r}"

    def _row_ends(self) -> list[int]:
        if self._ends is None:
            total = 0
            self._ends = []
            for file in self._files:
                total += count_rows([file])
                self._ends.append(total)
        return self._ends


def _cell(value: object) -> str:
    text = str(value).replace("\n", " ").replace("|", "\\|")
    return text if len(text) <= _CELL else f"{text[: _CELL - 3]}..."
