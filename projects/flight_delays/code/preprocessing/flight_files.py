"""Raw files of flights: find them, read them, and tell the usable rows from the others.

Only what is known before departure is read, and the delay at arrival, of which the label is made.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

# Whole numbers, with the smallest and the largest that a flight can have.
INTEGERS = {
    "year": (1987, 2100),
    "month": (1, 12),
    "day": (1, 31),
    "sched_dep_time": (0, 2359),
    "sched_arr_time": (0, 2359),
    "flight": (1, 9999),
    "distance": (1, 10_000),
}
CODES = {"carrier": r"[A-Z0-9]{2}", "origin": r"[A-Z0-9]{3}", "dest": r"[A-Z0-9]{3}"}
DELAY_MINUTES = (-240, 2880)
REQUIRED = (*INTEGERS, *CODES)
OPTIONAL = ("tailnum", "arr_delay")

# What a column of mixed values may hold where a number is asked for; text that reads as one counts.
NUMBERS = (int, float, Decimal, str)


class UnusableFile(Exception):
    """A file of which no row can be used; the message says why."""


def flight_files(folder: Path) -> Iterator[Path]:
    """The data files below ``folder``, by name; markers and hidden files (``_``, ``.``) are not."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(("_", ".")) for part in inside.parts):
            yield path


def read_flights(path: Path) -> pd.DataFrame:
    """The columns of a raw file that we use, uninterpreted: text of a CSV, types of a Parquet.

    Raises UnusableFile for an unknown kind of file and for missing or repeated columns, and what
    the parser raises for a broken one.
    """
    present = [column for column in header(path) if column in REQUIRED + OPTIONAL]
    absent = [column for column in REQUIRED if column not in present]
    if absent:
        raise UnusableFile(f"lacks the columns {', '.join(absent)}")
    if len(set(present)) < len(present):
        raise UnusableFile("has a column twice")
    table = read_parquet(path, present) if path.suffix == ".parquet" else read_csv(path, present)
    raw: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return raw


def header(path: Path) -> list[str]:
    """The names of a raw file's columns, read without its rows."""
    if not path.stat().st_size:
        raise UnusableFile("is empty")
    if path.suffix == ".parquet":
        return list(pa.parquet.ParquetFile(path).schema_arrow.names)
    if path.suffix == ".csv":
        with pa.csv.open_csv(path) as file:
            return list(file.schema.names)
    raise UnusableFile(f"is neither .parquet nor .csv but {path.suffix or 'without a suffix'}")


def read_parquet(path: Path, columns: list[str]) -> pa.Table:
    """The columns of a Parquet file, with its types."""
    return pa.parquet.ParquetFile(path).read(columns=columns)


def read_csv(path: Path, columns: list[str]) -> pa.Table:
    """The columns of a CSV file, as text; a line with too few or too many fields is an error."""
    as_text = pa.csv.ConvertOptions(
        include_columns=columns,
        column_types=dict.fromkeys(columns, pa.string()),
        strings_can_be_null=True,
    )
    quoted_newlines = pa.csv.ParseOptions(newlines_in_values=True)
    return pa.csv.read_csv(path, parse_options=quoted_newlines, convert_options=as_text)


def check_rows(raw: pd.DataFrame, origins: set[str]) -> tuple[pd.DataFrame, pd.Series]:
    """The rows with their proper types, and for each the reason not to use it, or ``""``.

    Usable rows get ``date`` and ``flight_id``, by which a flight is known from here on. The types
    of rows that are not usable mean nothing. ``origins`` are the airports whose weather is known.
    """
    reasons = pd.Series("", index=raw.index)
    flights = pd.DataFrame(index=raw.index)

    for column, (low, high) in INTEGERS.items():
        number = as_number(raw[column])
        good = number.between(low, high) & (number % 1 == 0)
        explain(reasons, ~good, raw[column], f"{column} is not a whole number {low} to {high}")
        flights[column] = number.where(good, low).astype("int64")
    for column in ("sched_dep_time", "sched_arr_time"):
        bad = (flights[column] % 100 >= 60) & (reasons == "")
        explain(reasons, bad, raw[column], f"{column} is not a time of day HHMM")

    for column, pattern in CODES.items():
        flights[column] = as_code(raw[column])
        good = flights[column].str.fullmatch(pattern)
        explain(reasons, ~good, raw[column], f"{column} is not a code of {pattern[-2]} characters")
    unknown = ~flights["origin"].isin(origins)
    explain(reasons, unknown & (reasons == ""), raw["origin"], "origin is not in the weather data")

    flights["tailnum"] = as_code(raw["tailnum"]) if "tailnum" in raw else ""
    flights["arr_delay"] = float("nan")
    if "arr_delay" in raw:
        delay = as_number(raw["arr_delay"])
        bad = raw["arr_delay"].notna() & ~delay.between(*DELAY_MINUTES)
        explain(reasons, bad, raw["arr_delay"], "arr_delay is not a number of minutes")
        flights["arr_delay"] = delay

    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]], errors="coerce")
    no_day = flights["date"].isna()
    explain(reasons, no_day & (reasons == ""), raw["day"], "day is not a day of its month")
    flights["flight_id"] = flight_id(flights)
    again = flights[reasons == ""].duplicated("flight_id").reindex(flights.index, fill_value=False)
    explain(reasons, again, flights["flight_id"], "the flight stands in the file before")
    return flights, reasons


def explain(reasons: pd.Series, bad: pd.Series, values: pd.Series, reason: str) -> None:
    """Add ``reason`` and the value found to the ``reasons`` of the bad rows."""
    if bad.any():
        found = values[bad].map(lambda value: f"{reason}: {short_text(value)}")
        before = reasons[bad]
        reasons[bad] = before.where(before == "", before + "; ") + found


def short_text(value: Any) -> str:
    """A value as a reason quotes it, on one line and short."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "missing"
    text = repr(str(value))
    return text if len(text) <= 40 else f"{text[:37]}..."


def as_number(values: pd.Series) -> pd.Series:
    """The values as floats; missing where one is no number."""
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(float("nan"), index=values.index)
    if values.dtype == object:
        values = values.map(lambda value: str(value) if isinstance(value, NUMBERS) else None)
    return pd.to_numeric(values, errors="coerce").astype("float64")


def as_code(values: pd.Series) -> pd.Series:
    """The values as codes: upper case without blanks around them; empty where there is none."""
    text = values.where(values.notna(), "").map(lambda value: str(value).strip().upper())
    return text.astype("str")


def flight_id(flights: pd.DataFrame) -> pd.Series:
    """What tells a flight from all others: date, carrier, number, origin, scheduled departure."""
    time = flights["sched_dep_time"].astype("str").str.zfill(4)
    date = flights["date"].dt.strftime("%Y-%m-%d")
    parts = (flights["carrier"], flights["flight"].astype("str"), flights["origin"], time)
    identity: pd.Series = date.str.cat(parts, sep="-")
    return identity
