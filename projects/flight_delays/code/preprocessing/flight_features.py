"""The features of a flight: only what is known before it departs.

No feature depends on what else is in the file: a flight gets the same features in a file of a
month as in a file of its own. Whatever is learned from many flights is learned by the model.
"""

from dataclasses import dataclass
from typing import Self

import pandas as pd

# Late as the US Department of Transportation counts it: 15 minutes after the schedule, or more.
LATE_MINUTES = 15

HOUR = ["origin", "year", "month", "day", "hour"]
WEATHER = [
    *("temp", "dewp", "humid", "precip", "pressure", "visib"),
    *("wind_dir", "wind_speed", "wind_gust"),
]
KEYS = ["flight_id", "date", "carrier", "flight", "origin", "dest"]
SCHEDULE = ["departure_minute", "arrival_minute", "scheduled_minutes", "day_of_week", "distance"]
AIRCRAFT = ["plane_age", "plane_seats"]


@dataclass(frozen=True)
class References:
    """What flights are looked up in.

    Attributes:
        weather: by airport and local hour (``HOUR``), the columns of ``WEATHER``.
        planes: by tail number, the ``year`` of building and the ``seats``.
        zones: by airport, the hours that its winter time is ahead of UTC.
    """

    weather: pd.DataFrame
    planes: pd.DataFrame
    zones: pd.Series

    @classmethod
    def of(cls, weather: pd.DataFrame, planes: pd.DataFrame, airports: pd.DataFrame) -> Self:
        """The lookups of the three tables. Raises KeyError or ValueError where they do not fit."""
        return cls(
            # The hour that comes twice when summer time ends counts once: nothing departs in it.
            weather=weather.drop_duplicates(HOUR).set_index(HOUR)[WEATHER].astype("float64"),
            planes=keyed(planes, "tailnum")[["year", "seats"]].astype("float64"),
            zones=keyed(airports, "faa")["tz"].astype("float64"),
        )

    @property
    def origins(self) -> set[str]:
        """The airports whose weather is known."""
        return set(self.weather.index.unique("origin"))


def keyed(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """The table by the values of its column ``key``, the first row of each."""
    return table.drop_duplicates(key).set_index(key)


def build_features(flights: pd.DataFrame, references: References) -> pd.DataFrame:
    """The keys, the features and the label of checked flights, in their order.

    ``late`` is missing where the flight has not arrived: yet, or ever. A feature is missing where
    a reference table does not know the airport, the aircraft or the hour.
    """
    features = flights[KEYS].assign(
        **schedule(flights, references.zones),
        **aircraft(flights, references.planes),
        **weather_at_departure(flights, references.weather),
    )
    known = flights["arr_delay"].notna()
    late = flights["arr_delay"].ge(LATE_MINUTES).astype("boolean")
    columns = [*KEYS, *SCHEDULE, *AIRCRAFT, *WEATHER, "late"]
    return features.assign(late=late.where(known))[columns].reset_index(drop=True)


def schedule(flights: pd.DataFrame, zones: pd.Series) -> dict[str, pd.Series]:
    """When the flight should leave and arrive, and how long the schedule gives it."""
    departure = minute_of_day(flights["sched_dep_time"])
    arrival = minute_of_day(flights["sched_arr_time"])
    # Winter time at both ends: summer time shifts them alike but for the few states without it.
    hours_east = looked_up(flights["dest"], zones) - looked_up(flights["origin"], zones)
    return {
        "departure_minute": departure,
        "arrival_minute": arrival,
        "scheduled_minutes": (arrival - departure - 60 * hours_east) % (24 * 60),
        "day_of_week": flights["date"].dt.day_of_week.astype("float64"),
        "distance": flights["distance"].astype("float64"),
    }


def minute_of_day(hhmm: pd.Series) -> pd.Series:
    """Minutes since midnight of a time written as the number HHMM."""
    return (hhmm // 100 * 60 + hhmm % 100).astype("float64")


def aircraft(flights: pd.DataFrame, planes: pd.DataFrame) -> dict[str, pd.Series]:
    """How old the aircraft is, in years, and how many it seats."""
    return {
        "plane_age": flights["year"] - looked_up(flights["tailnum"], planes["year"]),
        "plane_seats": looked_up(flights["tailnum"], planes["seats"]),
    }


def weather_at_departure(flights: pd.DataFrame, weather: pd.DataFrame) -> dict[str, pd.Series]:
    """The weather at the airport of departure in the hour in which the flight is scheduled."""
    hours = flights.assign(hour=flights["sched_dep_time"] // 100)[HOUR]
    found = hours.join(weather, on=HOUR)
    # A gust is reported only where there was one; without, the wind is steady.
    found["wind_gust"] = found["wind_gust"].fillna(found["wind_speed"])
    return {column: found[column] for column in WEATHER}


def looked_up(keys: pd.Series, table: pd.Series) -> pd.Series:
    """The value of ``table`` for each key; missing where the table does not have the key."""
    return table.reindex(keys).set_axis(keys.index)
