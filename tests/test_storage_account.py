"""A wrong connection string is named by its variable, and nothing of it is shown."""

from __future__ import annotations

import pytest

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.storage_account import (
    CONNECTION_STRING,
    container_client,
    queue_client,
    table_options,
)

ADDRESS = "https://flights.blob.core.windows.net/drops"


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "AccountName;AccountKey=hunter2==",
        "AccountName=a;AccountKey=hunter2!;EndpointSuffix=core.windows.net",
        "=hunter2;=",
    ],
)
def test_a_malformed_connection_string_names_its_variable_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(CONNECTION_STRING, text)
    for call in (
        lambda: container_client(ADDRESS),
        lambda: queue_client(ADDRESS),
        lambda: table_options("abfss://scored@flights.dfs.core.windows.net/s"),
    ):
        with pytest.raises(InvalidRequest, match=CONNECTION_STRING) as refused:
            call()
        assert "hunter2" not in str(refused.value)
        assert refused.value.__cause__ is None
