"""Turn raw files of flights into features, a file for a file.

A row that cannot be used is set aside with its reason, and so is a file: one bad file never stops
the others, and bad files alone are no failure. The step fails only where there is no file.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from flight_features import References, build_features
from flight_files import UnusableFile, check_rows, flight_files, read_flights


@dataclass(frozen=True)
class Outcome:
    """What became of one raw file (``source``, below the folder): its features and its rejects.

    A file that can be read has features, be it of no row; one that cannot has none at all.
    """

    source: str
    name: str
    features: pd.DataFrame
    rejected: pd.DataFrame

    @property
    def is_readable(self) -> bool:
        return "source" in self.features


def main(arguments: argparse.Namespace) -> None:
    if not arguments.flights.is_dir():
        raise SystemExit(f"preprocess: --flights is not a folder: {arguments.flights}")
    references = read_references(arguments.weather, arguments.planes, arguments.airports)

    files = usable = rejected = 0
    for path in flight_files(arguments.flights):
        outcome = preprocess(path, arguments.flights, references)
        if outcome.is_readable:
            write(outcome.features, arguments.features / outcome.name)
        if not outcome.rejected.empty:
            write(outcome.rejected, arguments.rejected / outcome.name)
        print(summary(outcome), flush=True)
        files += 1
        usable += len(outcome.features)
        rejected += len(outcome.rejected)

    print(f"{files:,} files: {usable:,} rows usable, {rejected:,} rejected")
    if not files:
        raise SystemExit(f"preprocess: there is no file in --flights {arguments.flights}")


def preprocess(path: Path, folder: Path, references: References) -> Outcome:
    """What becomes of one raw file; nothing that is in it makes this raise."""
    source = path.relative_to(folder).as_posix()
    name = output_name(path, folder)
    try:
        raw = read_flights(path)
        flights, reasons = check_rows(raw, references.origins)
        features = build_features(flights[reasons == ""], references)
        features = features.assign(source=source, row=raw.index[reasons == ""].astype("int64"))
        return Outcome(source, name, features, rejected_rows(source, raw, reasons))
    except UnusableFile as error:
        return Outcome(source, name, pd.DataFrame(), rejected_file(source, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a hostile file makes a parser raise
        reason = f"cannot be read: {type(error).__name__}: {first_line(error)}"
        return Outcome(source, name, pd.DataFrame(), rejected_file(source, reason))


def output_name(path: Path, folder: Path) -> str:
    """The file below an output's folder that stands for a raw file; no two share one.

    A Parquet file keeps its name, any other gets ``.parquet`` after it. So does the Parquet file
    that would otherwise be taken for its neighbour's.
    """
    keeps_its_name = path.suffix == ".parquet" and not path.with_suffix("").is_file()
    return path.relative_to(folder).as_posix() + ("" if keeps_its_name else ".parquet")


def rejected_file(source: str, reason: str) -> pd.DataFrame:
    """The one row that stands for a file of which nothing can be used."""
    return pd.DataFrame(
        {"source": [source], "row": pd.array([None], dtype="Int64"), "reason": [reason]}
    )


def rejected_rows(source: str, raw: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """The unusable rows as they came, as text, each with its place in the file and the reason."""
    bad = reasons != ""
    place = {"source": source, "row": raw.index[bad].astype("Int64"), "reason": reasons[bad]}
    values = {name: raw[name][bad].map(as_text).astype("string") for name in raw}
    return pd.DataFrame(place | values, index=raw.index[bad])


def as_text(value: Any) -> str | None:
    """A value as a Parquet text column can hold it; None where it is missing."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return str(value).encode("utf-8", "replace").decode()


def write(table: pd.DataFrame, path: Path) -> None:
    """Write the table, with its columns even where it has no rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)


def summary(outcome: Outcome) -> str:
    """The line of the log about one file, with its commonest reason."""
    line = f"{outcome.source}: {len(outcome.features):,} rows usable"
    if outcome.rejected.empty:
        return line
    reason = outcome.rejected["reason"].mode()[0]
    return f"{line}, {len(outcome.rejected):,} rejected, such as: {reason}"


def read_references(weather: Path, planes: Path, airports: Path) -> References:
    """The three reference tables, ready to be looked up in."""
    tables = {"weather": weather, "planes": planes, "airports": airports}
    try:
        return References.of(**{name: read_table(path) for name, path in tables.items()})
    except Exception as error:
        found = ", ".join(f"--{name} {path}" for name, path in tables.items())
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise SystemExit(f"preprocess: cannot use {found}: {reason}") from error


def read_table(path: Path) -> pd.DataFrame:
    """A table, Parquet or CSV by its content: the path of an output may have no suffix."""
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    return pd.read_parquet(path) if is_parquet else pd.read_csv(path)


def first_line(error: Exception) -> str:
    """The first line of an error's message, shortened to what a log line can hold."""
    return (str(error).strip().splitlines() or ["no message"])[0][:200]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flights", type=Path, required=True, help="folder of raw flights")
    for reference in ("weather", "planes", "airports"):
        parser.add_argument(f"--{reference}", type=Path, required=True, help="file to read")
    for output in ("features", "rejected"):
        parser.add_argument(f"--{output}", type=Path, required=True, help="folder to write")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_arguments())
