from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ORIGINS = {"EWR", "JFK", "LGA"}


@pytest.fixture(scope="module")
def files(step: Callable[[str, str], ModuleType]) -> ModuleType:
    return step("preprocessing", "flight_files")


def test_good_rows_have_no_reason_and_a_known_identity(
    files: ModuleType, flights: pd.DataFrame
) -> None:
    checked, reasons = files.check_rows(flights, ORIGINS)
    assert reasons.tolist() == ["", "", "", ""]
    assert checked["flight_id"].tolist() == [
        "2013-03-01-UA-1-EWR-0600",
        "2013-03-01-DL-22-LGA-0600",
        "2013-03-02-AA-333-JFK-1430",
        "2013-03-02-B6-4444-JFK-2325",
    ]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("month", 13, "month is not a whole number 1 to 12: '13'"),
        ("month", None, "month is not a whole number 1 to 12: missing"),
        ("month", True, "month is not a whole number 1 to 12: 'True'"),
        ("month", [3], "month is not a whole number 1 to 12: '[3]'"),
        ("flight", 1.5, "flight is not a whole number 1 to 9999: '1.5'"),
        ("day", float("inf"), "day is not a whole number 1 to 31: 'inf'"),
        ("distance", "far", "distance is not a whole number 1 to 10000: 'far'"),
        ("sched_dep_time", 1275, "sched_dep_time is not a time of day HHMM: '1275'"),
        ("carrier", "United", "carrier is not a code of 2 characters: 'United'"),
        ("dest", "日本\n語", "dest is not a code of 3 characters: '日本\\n語'"),
        ("origin", "BOS", "origin is not in the weather data: 'BOS'"),
        ("arr_delay", "soon", "arr_delay is not a number of minutes: 'soon'"),
        ("arr_delay", 99_999, "arr_delay is not a number of minutes: '99999'"),
    ],
)
def test_a_bad_value_is_named_and_spoils_its_own_row_only(
    files: ModuleType, flights: pd.DataFrame, column: str, value: object, reason: str
) -> None:
    raw = flights.astype({column: object})
    raw.at[1, column] = value
    _, reasons = files.check_rows(raw, ORIGINS)
    assert reasons.tolist() == ["", reason, "", ""]


def test_a_row_tells_all_its_faults(files: ModuleType, flights: pd.DataFrame) -> None:
    raw = flights.astype(object)
    raw.loc[0, ["flight", "carrier"]] = [0, "?"]
    _, reasons = files.check_rows(raw, ORIGINS)
    assert reasons[0] == (
        "flight is not a whole number 1 to 9999: '0'; carrier is not a code of 2 characters: '?'"
    )


def test_a_day_that_its_month_does_not_have_is_bad(
    files: ModuleType, flights: pd.DataFrame
) -> None:
    _, reasons = files.check_rows(flights.assign(month=2, day=[28, 29, 30, 1]), ORIGINS)
    assert (reasons != "").tolist() == [False, True, True, False]


def test_a_flight_that_comes_twice_is_taken_once(files: ModuleType, flights: pd.DataFrame) -> None:
    raw = pd.concat([flights, flights.head(1)], ignore_index=True)
    _, reasons = files.check_rows(raw, ORIGINS)
    assert (reasons != "").tolist() == [False, False, False, False, True]
    assert "stands in the file before: '2013-03-01-UA-1-EWR-0600'" in reasons[4]


def test_a_csv_and_a_parquet_file_of_the_same_flights_read_alike(
    files: ModuleType, flights: pd.DataFrame, tmp_path: Path
) -> None:
    flights.to_parquet(tmp_path / "a.parquet")
    flights.to_csv(tmp_path / "a.csv", index=False, encoding="utf-8-sig")
    parquet, csv = (
        files.check_rows(files.read_flights(tmp_path / name), ORIGINS)
        for name in ("a.parquet", "a.csv")
    )
    pd.testing.assert_frame_equal(parquet[0], csv[0], check_like=True)
    assert csv[1].eq("").all()


def test_what_is_known_only_after_departure_is_not_read(
    files: ModuleType, flights: pd.DataFrame, tmp_path: Path
) -> None:
    flights.to_parquet(tmp_path / "a.parquet")
    assert not {"dep_time", "dep_delay"} & set(files.read_flights(tmp_path / "a.parquet"))


def test_flights_of_tomorrow_need_no_delay_and_no_aircraft(
    files: ModuleType, flights: pd.DataFrame, tmp_path: Path
) -> None:
    flights.drop(columns=["arr_delay", "tailnum"]).to_parquet(tmp_path / "a.parquet")
    checked, reasons = files.check_rows(files.read_flights(tmp_path / "a.parquet"), ORIGINS)
    assert reasons.eq("").all()
    assert checked["arr_delay"].isna().all()


def test_markers_and_hidden_files_are_not_data(files: ModuleType, tmp_path: Path) -> None:
    for name in ("_SUCCESS", ".a.parquet.crc", "b/_temporary/c.parquet", "b/a.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(files.flight_files(tmp_path)) == [tmp_path / "b/a.parquet"]
