from collections.abc import Callable
from types import ModuleType

import pandas as pd
import pytest

Build = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def module(step: Callable[[str, str], ModuleType]) -> ModuleType:
    return step("preprocessing", "flight_features")


@pytest.fixture
def build(
    step: Callable[[str, str], ModuleType],
    module: ModuleType,
    weather: pd.DataFrame,
    planes: pd.DataFrame,
    airports: pd.DataFrame,
) -> Build:
    check = step("preprocessing", "flight_files").check_rows
    references = module.References.of(weather, planes, airports)
    return lambda raw: module.build_features(check(raw, references.origins)[0], references)


def test_a_flight_is_late_from_fifteen_minutes_on_and_unknown_if_it_never_arrived(
    build: Build, flights: pd.DataFrame
) -> None:
    assert build(flights)["late"].tolist() == [True, False, pd.NA, False]


def test_the_scheduled_time_minds_time_zones_and_midnight(
    build: Build, flights: pd.DataFrame
) -> None:
    # To Houston 2 h 30 by the clock and an hour back; to Los Angeles 3 h 01 and three hours back.
    features = build(flights.assign(dest=["IAH", "BOS", "LAX", "BOS"]))
    assert features["scheduled_minutes"].tolist() == [210, 90, 361, 290]


def test_what_the_references_do_not_know_is_missing(build: Build, flights: pd.DataFrame) -> None:
    features = build(flights)
    assert features["scheduled_minutes"].isna().tolist() == [False, False, False, True]
    assert features["plane_age"].isna().tolist() == [False, True, True, True]
    assert features["plane_seats"].isna().tolist() == [False, False, True, True]
    assert features["temp"].isna().tolist() == [False, False, False, True]


def test_without_a_gust_the_wind_is_steady(build: Build, flights: pd.DataFrame) -> None:
    assert build(flights)["wind_gust"].tolist()[:3] == [10, 12, 25]


def test_nothing_known_only_after_departure_changes_a_feature(
    build: Build, flights: pd.DataFrame
) -> None:
    after = {"dep_time": 1, "dep_delay": 500, "arr_delay": 500, "arr_time": 1, "air_time": 1}
    pd.testing.assert_frame_equal(
        build(flights).drop(columns="late"), build(flights.assign(**after)).drop(columns="late")
    )


def test_a_flight_has_the_same_features_alone_as_among_others(
    build: Build, flights: pd.DataFrame
) -> None:
    together = build(flights)
    alone = [build(flights.iloc[[i]].reset_index(drop=True)) for i in range(len(flights))]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), together)


def test_no_flights_make_no_features_but_all_columns(build: Build, flights: pd.DataFrame) -> None:
    pd.testing.assert_index_equal(build(flights.head(0)).columns, build(flights).columns)
