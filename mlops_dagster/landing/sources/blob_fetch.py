"""Reading a blob, which is to be that of its drop and no other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import StorageUnavailable
from mlops_dagster.landing.sources.port import FileChanged, FileGone, FileRefused, refuse_unsafe
from mlops_dagster.landing.values import Drop, Reason
from mlops_dagster.storage_account import reachable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_TRIES = 5


def fetch_blob(container: ContainerClient, drop: Drop, to: Path) -> None:
    """``Source.fetch`` for a blob; the etag is a condition of every request that reads it."""
    refuse_unsafe(drop)
    for attempt in range(_TRIES):
        to.unlink(missing_ok=True)
        try:
            _download(container, drop, to)
            return
        except StorageUnavailable:
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
            raise FileGone from error
        except ResourceModifiedError as error:
            raise _changed(blob, drop) from error
        except HttpResponseError as error:
            if error.status_code == 409 and error.error_code == "BlobArchived":  # type: ignore[attr-defined]
                detail = "it is in the archive tier; rehydrate it and replay the drop"
                raise FileRefused(Reason.UNREADABLE, detail) from error
            raise
    if to.stat().st_size != drop.size:
        raise StorageUnavailable(
            f"The blob {drop.path!r} came in part.", remedy="It is tried again."
        )


def _changed(blob: Any, drop: Drop) -> FileChanged | FileGone:
    """What the blob is now, so that its successor is not lost where no event announces it."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = blob.get_blob_properties()
    except ResourceNotFoundError:
        return FileGone()
    return FileChanged(Drop(drop.path, found.etag.strip('"'), found.size, found.last_modified))
