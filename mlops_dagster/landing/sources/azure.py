"""What touches Azure storage: clients and options, clocks, errors, and reading a blob."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.landing.sources.port import Changed, Gone, Refused, Unavailable, refuse_unsafe
from mlops_dagster.landing.values import Drop, Reason

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient

_TRIES = 5
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
    InvalidRequest where it is not installed.
    """
    with _installed():
        from azure.storage.blob import ContainerClient

    name = address.rstrip("/").rpartition("/")[2]
    if credential is None and (text := os.environ.get("AZURE_STORAGE_CONNECTION_STRING")):
        return ContainerClient.from_connection_string(text, name, **_RETRIES)
    return ContainerClient.from_container_url(address, credential or _identity(), **_RETRIES)


def queue_client(address: str, credential: Any = None) -> QueueClient:
    """A client of the queue at ``https://ACCOUNT.queue.../QUEUE``; credentials as for a container."""
    with _installed():
        from azure.storage.queue import QueueClient

    name = address.rstrip("/").rpartition("/")[2]
    if credential is None and (text := os.environ.get("AZURE_STORAGE_CONNECTION_STRING")):
        return QueueClient.from_connection_string(text, name, **_RETRIES)
    return QueueClient.from_queue_url(address, credential or _identity(), **_RETRIES)


def table_options(uri: str) -> dict[str, str]:
    """What a Delta table's storage needs so that it uses ``AZURE_STORAGE_CONNECTION_STRING`` too.

    Empty where that is not set or the table lies elsewhere; ``object_store``, which reads and
    writes the table, then finds an identity by itself (the ``AZURE_*`` variables, a managed or
    workload identity). Names: docs.rs/object_store, ``AzureConfigKey``.
    """
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if not text or not uri.startswith(_TABLE_SCHEMES):
        return {}
    from azure.core.utils import parse_connection_string

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
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"A storage account needs Azure's clients, and {error.name} is not installed.",
            remedy="pip install 'mlops_dagster[azure]'",
        ) from error


def _identity() -> Any:
    with _installed():
        from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Turn the SDK's errors into Unavailable, which names what could not be reached."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        raise Unavailable(
            f"{what} answers {error.status_code} ({error.reason or error.error or 'no reason'}).",
            remedy="Check the address and the role of the identity that is used."
            if error.status_code in (401, 403, 404)
            else "It is tried again.",
        ) from error
    except AzureError as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise Unavailable(
            f"{what} cannot be reached: {first}", remedy="It is tried again."
        ) from error


def service_time(response: Any) -> datetime | None:
    """The service's clock, from an answer's ``Date`` header."""
    text = response.http_response.headers.get("Date")
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def fetch_blob(container: ContainerClient, drop: Drop, to: Path) -> None:
    """``Source.fetch`` for a blob; the etag is a condition of every request that reads it."""
    refuse_unsafe(drop)
    for attempt in range(_TRIES):
        to.unlink(missing_ok=True)
        try:
            _download(container, drop, to)
            return
        except Unavailable:
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.2 * 2**attempt)


def _download(container: ContainerClient, drop: Drop, to: Path) -> None:
    from azure.core import MatchConditions
    from azure.core.exceptions import (
        HttpResponseError,
        ResourceModifiedError,
        ResourceNotFoundError,
    )

    blob = container.get_blob_client(drop.path)
    with reachable(f"The blob {drop.path!r}"):
        try:
            stream = blob.download_blob(
                etag=drop.etag, match_condition=MatchConditions.IfNotModified
            )
            with to.open("xb") as target:
                stream.readinto(target)
        except ResourceNotFoundError as error:
            raise Gone from error
        except ResourceModifiedError as error:
            raise _changed(blob, drop) from error
        except HttpResponseError as error:
            if error.status_code == 409 and error.error_code == "BlobArchived":  # type: ignore[attr-defined]
                detail = "it is in the archive tier; rehydrate it and replay the drop"
                raise Refused(Reason.UNREADABLE, detail) from error
            raise
    if to.stat().st_size != drop.size:
        raise Unavailable(f"The blob {drop.path!r} came in part.", remedy="It is tried again.")


def _changed(blob: Any, drop: Drop) -> Changed | Gone:
    """What the blob is now, so that its successor is not lost where no event tells of it."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = blob.get_blob_properties()
    except ResourceNotFoundError:
        return Gone()
    return Changed(Drop(drop.path, found.etag.strip('"'), found.size, found.last_modified))
