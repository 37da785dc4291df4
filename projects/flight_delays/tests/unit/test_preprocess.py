import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def preprocess(step: Callable[[str, str], ModuleType]) -> ModuleType:
    return step("preprocessing", "preprocess")


@pytest.fixture
def arguments(
    tmp_path: Path, weather: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame
) -> argparse.Namespace:
    """What the step is called with: an empty folder of flights, and references without suffix."""
    arguments = argparse.Namespace()
    for folder in ("flights", "features", "rejected"):
        setattr(arguments, folder, tmp_path / folder)
        (tmp_path / folder).mkdir()
    for name, table in {"weather": weather, "planes": planes, "airports": airports}.items():
        setattr(arguments, name, tmp_path / name)
        table.to_parquet(tmp_path / name)
    return arguments


def written(folder: Path) -> dict[str, pd.DataFrame]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): pd.read_parquet(path) for path in files}


def broken(flights: pd.DataFrame, folder: Path) -> None:
    """Files of which none can be used, each in its own way."""
    flights.to_parquet(folder / "whole.parquet")
    content = (folder / "whole.parquet").read_bytes()
    (folder / "whole.parquet").unlink()
    (folder / "truncated.parquet").write_bytes(content[:-50])
    (folder / "empty.parquet").touch()
    (folder / "text.parquet").write_text("year,month")
    (folder / "notes.txt").write_text("late again")
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "ragged.csv").write_text(flights.to_csv(index=False) + "2013,3,4\n")
    (folder / "utf16.csv").write_text(flights.to_csv(index=False), encoding="utf-16")
    flights.drop(columns=["origin", "dest"]).to_parquet(folder / "lacking.parquet")


def test_a_broken_file_is_one_reject_and_stops_no_other(
    preprocess: ModuleType, arguments: argparse.Namespace, flights: pd.DataFrame
) -> None:
    broken(flights, arguments.flights)
    (arguments.flights / "year=2013").mkdir()
    flights.to_csv(arguments.flights / "year=2013" / "good.csv", index=False)

    preprocess.main(arguments)

    assert set(written(arguments.features)) == {"year=2013/good.csv.parquet"}
    rejected = pd.concat(written(arguments.rejected).values()).set_index("source")
    assert rejected.index.is_unique
    assert len(rejected) == 8
    assert rejected.loc["lacking.parquet", "reason"] == "lacks the columns origin, dest"
    assert rejected.loc["empty.parquet", "reason"] == "is empty"
    assert rejected.loc["notes.txt", "reason"] == "is neither .parquet nor .csv but .txt"
    assert rejected.loc["truncated.parquet", "reason"].startswith("cannot be read: ArrowInvalid")


def test_rows_in_are_rows_usable_plus_rows_rejected(
    preprocess: ModuleType, arguments: argparse.Namespace, flights: pd.DataFrame
) -> None:
    raw = flights.astype({"day": object})
    raw.loc[[0, 3], "day"] = ["first", None]
    raw.to_csv(arguments.flights / "a.csv", index=False)

    preprocess.main(arguments)

    features = written(arguments.features)["a.csv.parquet"]
    rejected = written(arguments.rejected)["a.csv.parquet"]
    assert features["flight"].tolist() == [22, 333]
    assert features["source"].unique().tolist() == ["a.csv"]
    assert features["row"].tolist() == [1, 2]
    assert rejected["row"].tolist() == [0, 3]
    assert rejected["flight"].tolist() == ["1", "4444"]
    assert rejected["day"].tolist()[0] == "first"


def test_files_that_are_all_bad_are_no_failure(
    preprocess: ModuleType, arguments: argparse.Namespace, flights: pd.DataFrame
) -> None:
    broken(flights, arguments.flights)
    preprocess.main(arguments)
    assert len(written(arguments.rejected)) == 8
    assert not written(arguments.features)


def test_a_readable_file_without_a_usable_row_has_features_of_no_rows(
    preprocess: ModuleType, arguments: argparse.Namespace, flights: pd.DataFrame
) -> None:
    flights.assign(origin="???").to_csv(arguments.flights / "a.csv", index=False)
    preprocess.main(arguments)
    assert len(written(arguments.features)["a.csv.parquet"]) == 0
    assert len(written(arguments.rejected)["a.csv.parquet"]) == len(flights)


def test_a_folder_without_files_fails(
    preprocess: ModuleType, arguments: argparse.Namespace
) -> None:
    with pytest.raises(SystemExit, match="there is no file"):
        preprocess.main(arguments)


def test_files_whose_names_differ_in_the_suffix_do_not_overwrite_one_another(
    preprocess: ModuleType, arguments: argparse.Namespace, flights: pd.DataFrame
) -> None:
    names = ["a.csv", "a.csv.parquet", "a.csv.parquet.parquet", "a.parquet"]
    for position, name in enumerate(names):
        row = flights.iloc[[position]]
        write = row.to_csv if name.endswith(".csv") else row.to_parquet
        write(arguments.flights / name, index=False)

    preprocess.main(arguments)

    features = pd.concat(written(arguments.features).values())
    assert dict(zip(features["source"], features["flight"], strict=True)) == dict(
        zip(names, flights["flight"], strict=True)
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"PAR1 and nothing more", "ArrowInvalid"), (b"tailnum,year\nN1,2003\n", "seats")],
)
def test_a_reference_that_does_not_serve_is_refused_before_any_file(
    preprocess: ModuleType,
    arguments: argparse.Namespace,
    flights: pd.DataFrame,
    content: bytes,
    complaint: str,
) -> None:
    flights.to_parquet(arguments.flights / "a.parquet")
    arguments.planes.write_bytes(content)
    with pytest.raises(SystemExit, match=rf"cannot use .*--planes .*{complaint}"):
        preprocess.main(arguments)
    assert not written(arguments.features)


def test_flights_that_are_no_folder_are_refused(
    preprocess: ModuleType, arguments: argparse.Namespace
) -> None:
    arguments.flights = arguments.flights / "gone"
    with pytest.raises(SystemExit, match=r"--flights is not a folder: .*gone"):
        preprocess.main(arguments)
