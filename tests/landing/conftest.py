from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.landing.azurite import Azurite, running_azurite
from tests.landing.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.make(tmp_path / "landing")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as found:
        yield found
