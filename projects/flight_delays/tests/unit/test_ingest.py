from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def ingest(step: Callable[[str, str], ModuleType]) -> ModuleType:
    return step("ingestion", "ingest")


@pytest.fixture
def months() -> pd.DataFrame:
    return pd.DataFrame({"year": [2012, 2013, 2013], "month": [12, 1, 2], "flight": [1, 2, 3]})


def test_months_after_the_last_one_asked_for_are_left_out(
    ingest: ModuleType, months: pd.DataFrame
) -> None:
    taken = ingest.flights_through(months, ingest.parse_month("2013-01"))
    assert taken["flight"].tolist() == [1, 2]


def test_asking_for_a_time_before_the_data_names_what_the_data_spans(
    ingest: ModuleType, months: pd.DataFrame
) -> None:
    with pytest.raises(SystemExit, match=r"no flights up to 2011-05.*201212 to 201302"):
        ingest.flights_through(months, ingest.parse_month("2011-05"))


@pytest.mark.parametrize("text", ["October", "2013-13", "2013", ""])
def test_a_month_that_is_none_is_refused(ingest: ModuleType, text: str) -> None:
    with pytest.raises(SystemExit, match="expected a month as YYYY-MM"):
        ingest.parse_month(text)


def test_each_month_becomes_a_file_that_is_whole_by_itself(
    ingest: ModuleType, months: pd.DataFrame, tmp_path: Path
) -> None:
    written = ingest.write_by_month(months, tmp_path)
    assert [file for _, file, _ in written] == [
        "year=2012/month=12/flights.parquet",
        "year=2013/month=01/flights.parquet",
        "year=2013/month=02/flights.parquet",
    ]
    files = (pd.read_parquet(tmp_path / file) for _, file, _ in written)
    pd.testing.assert_frame_equal(pd.concat(files, ignore_index=True), months)


def test_a_wind_that_cannot_be_is_missing_and_any_other_stays(
    ingest: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    weather = pd.DataFrame(
        {
            "origin": "EWR",
            "time_hour": "2013-02-12",
            "wind_speed": [1048.0, 40.0, None],
            "wind_gust": [1200.0, 60.0, None],
        }
    )
    repaired = ingest.without_impossible_wind(weather)
    assert repaired["wind_speed"].tolist()[1] == 40
    assert repaired["wind_speed"].isna().tolist() == [True, False, True]
    assert repaired["wind_gust"].isna().tolist() == [True, False, True]
    assert "1048 mph" in capsys.readouterr().out
