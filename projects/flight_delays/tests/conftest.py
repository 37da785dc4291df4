"""The steps' scripts as modules, and the small tables that they are tried on."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def step() -> Callable[[str, str], ModuleType]:
    """A module of a step, by folder and name, loaded as its own snapshot would be."""
    return load_step


def load_step(folder: str, name: str) -> ModuleType:
    snapshot = PROJECT / "code" / folder
    spec = importlib.util.spec_from_file_location(
        f"flight_delays_{folder}_{name}", snapshot / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.path.insert(0, str(snapshot))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(snapshot))
        # Steps know nothing of one another: a neighbour's module must not serve another step.
        for new in set(sys.modules) - before - {spec.name}:
            if Path(getattr(sys.modules[new], "__file__", None) or "/").parent == snapshot:
                del sys.modules[new]
    return module


@pytest.fixture
def flights() -> pd.DataFrame:
    """Four flights as they come: a late, a punctual and a cancelled one, and one to Puerto Rico."""
    return pd.DataFrame(
        {
            "year": 2013,
            "month": 3,
            "day": [1, 1, 2, 2],
            "dep_time": [640.0, 600.0, None, 2330.0],
            "dep_delay": [40.0, 0.0, None, 5.0],
            "sched_dep_time": [600, 600, 1430, 2325],
            "sched_arr_time": [830, 730, 1731, 415],
            "arr_delay": [15.0, 14.0, None, -3.0],
            "carrier": ["UA", "DL", "AA", "B6"],
            "flight": [1, 22, 333, 4444],
            "tailnum": ["N1", "N2", None, "N9"],
            "origin": ["EWR", "LGA", "JFK", "JFK"],
            "dest": ["IAH", "BOS", "LAX", "SJU"],
            "distance": [1400, 184, 2475, 1598],
        }
    )


@pytest.fixture
def weather() -> pd.DataFrame:
    """The weather of the hours in which those flights are scheduled, but for the last."""
    return pd.DataFrame(
        {
            "origin": ["EWR", "LGA", "JFK"],
            "year": 2013,
            "month": 3,
            "day": [1, 1, 2],
            "hour": [6, 6, 14],
            "temp": [30.0, 31.0, 40.0],
            "dewp": 20.0,
            "humid": 60.0,
            "precip": 0.0,
            "pressure": 1010.0,
            "visib": 10.0,
            "wind_dir": 270.0,
            "wind_speed": [10.0, 12.0, 14.0],
            "wind_gust": [None, None, 25.0],
        }
    )


@pytest.fixture
def planes() -> pd.DataFrame:
    return pd.DataFrame({"tailnum": ["N1", "N2"], "year": [2003.0, None], "seats": [180, 140]})


@pytest.fixture
def airports() -> pd.DataFrame:
    return pd.DataFrame(
        {"faa": ["EWR", "LGA", "JFK", "IAH", "BOS", "LAX"], "tz": [-5, -5, -5, -6, -5, -8]}
    )
