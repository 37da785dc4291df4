"""Storage accounts: their clients, the credential that they use, and what their errors become."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest, StorageUnavailable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
_TABLE_SCHEMES = ("abfss://", "abfs://", "azure://", "az://", "adl://")
# The SDK's own first wait is 15 s, most of a tick.
_RETRIES: dict[str, Any] = {
    "retry_total": 3,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}


def container_client(address: str, credential: Any = None) -> ContainerClient:
    """A client of the container at ``https://ACCOUNT.blob.../CONTAINER``.

    Without a credential, ``AZURE_STORAGE_CONNECTION_STRING`` is used where it is set, else what
    azure-identity finds. The SDK tries again by itself where the service says 5xx. Raises
    InvalidRequest where it is not installed, or the connection string is malformed.
    """
    with _requiring_azure():
        from azure.storage.blob import ContainerClient

    name = address.rstrip("/").rpartition("/")[2]
    if credential is None and (text := os.environ.get(CONNECTION_STRING)):
        with _checking_connection_string(text):
            return ContainerClient.from_connection_string(text, name, **_RETRIES)
    return ContainerClient.from_container_url(address, credential or _identity(), **_RETRIES)


def queue_client(address: str, credential: Any = None) -> QueueClient:
    """A client of the queue at ``https://ACCOUNT.queue.../QUEUE``; credentials as for a container."""
    with _requiring_azure():
        from azure.storage.queue import QueueClient

    name = address.rstrip("/").rpartition("/")[2]
    if credential is None and (text := os.environ.get(CONNECTION_STRING)):
        with _checking_connection_string(text):
            return QueueClient.from_connection_string(text, name, **_RETRIES)
    return QueueClient.from_queue_url(address, credential or _identity(), **_RETRIES)


def table_options(uri: str) -> dict[str, str]:
    """What a Delta table's storage needs so that it uses ``AZURE_STORAGE_CONNECTION_STRING`` too.

    Empty where that is not set or the table lies elsewhere; ``object_store``, which reads and
    writes the table, then finds an identity by itself (the ``AZURE_*`` variables, a managed or
    workload identity). Names: docs.rs/object_store, ``AzureConfigKey``. Raises InvalidRequest where
    the connection string is malformed.
    """
    text = os.environ.get(CONNECTION_STRING)
    if not text or not uri.startswith(_TABLE_SCHEMES):
        return {}
    with _requiring_azure():
        from azure.core.utils import parse_connection_string

    with _checking_connection_string(text):
        given = parse_connection_string(text)
    endpoint = given.get("blobendpoint", "").rstrip("/")
    options = {
        "azure_storage_account_name": given.get("accountname", ""),
        "azure_storage_account_key": given.get("accountkey", ""),
        "azure_storage_sas_key": given.get("sharedaccesssignature", ""),
        "azure_storage_endpoint": endpoint,
        "azure_allow_http": "true" if endpoint.startswith("http://") else "",
    }
    return {name: value for name, value in options.items() if value}


@contextmanager
def _checking_connection_string(text: str) -> Iterator[None]:
    """Say which variable is wrong, and nothing of its value, which is a secret."""
    from azure.core.utils import parse_connection_string

    try:
        key = parse_connection_string(text).get("accountkey", "")
        base64.b64decode(key, validate=True)
        yield
    except ValueError:
        raise InvalidRequest(
            f"The variable {CONNECTION_STRING} holds no connection string of a storage account.",
            remedy="It has the form 'AccountName=...;AccountKey=...;EndpointSuffix=...'; unset it "
            "to sign in with azure-identity.",
        ) from None


@contextmanager
def _requiring_azure() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"A storage account needs Azure's clients, and {error.name} is not installed.",
            remedy="pip install 'mlops_dagster[azure]'",
        ) from error


def _identity() -> Any:
    with _requiring_azure():
        from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Turn the SDK's errors into StorageUnavailable, which names what could not be reached."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        raise StorageUnavailable(
            f"{what} answers {error.status_code} ({error.reason or error.error or 'no reason'}).",
            remedy="Check the address and the role of the identity that is used."
            if error.status_code in (401, 403, 404)
            else "It is tried again.",
        ) from error
    except AzureError as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise StorageUnavailable(
            f"{what} cannot be reached: {first}", remedy="It is tried again."
        ) from error


def service_time(response: Any) -> datetime | None:
    """The service's clock, from an answer's ``Date`` header."""
    text = response.http_response.headers.get("Date")
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
