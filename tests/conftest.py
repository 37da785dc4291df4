"""What every test stands on: a state directory of its own, and no setting of the machine's user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_dagster.cli.azurite import Azurite, installed, running_azurite
from mlops_dagster.errors import MlopsError

# What dagster, mlflow, the Azure SDKs and this package read from the environment.
PREFIXES = (
    "AZURE_",
    "AZUREML_",
    "DAGSTER_",
    "MLFLOW_",
    "MLOPS_HOME",
    "MLOPS_ALERT_",
    "MLOPS_CODE_URL",
)


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        del os.environ[name]
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(autouse=True)
def mlops_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own state directory; nothing is in it, and it is made by its first user."""
    home = tmp_path / ".mlops"
    monkeypatch.setenv("MLOPS_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A storage account in memory."""
    try:
        installed()
    except MlopsError as error:
        pytest.skip(str(error))
    with running_azurite() as found:
        yield found
