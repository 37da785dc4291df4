"""Named, immutable objects: put where none is, read, list. A folder or a blob container."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_dagster.errors import StorageUnavailable
from mlops_dagster.storage_account import reachable
from mlops_dagster.system import atomic

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

_TRIES = 6


class ObjectStore(Protocol):
    """Where machines that share a ledger keep what they agreed on."""

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Put an object, whole; False where one of that name is there with other content."""

    def read(self, name: str) -> bytes | None:
        """Its content; None where there is none."""

    def names(self, prefix: str) -> list[str]:
        """The names that begin with ``prefix``, sorted."""


class FolderStore:
    """Objects as files below a folder, which machines may share (hard links must work there)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_if_absent(self, name: str, content: bytes) -> bool:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return atomic.create(path, content) or path.read_bytes() == content

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        folder, _, start = prefix.rpartition("/")
        found = (self._folder / folder).glob(f"{start}*")
        return sorted(
            path.relative_to(self._folder).as_posix()
            for path in found
            if not path.name.startswith(".")
        )


class BlobStore:
    """Objects as blobs below a prefix of a container.

    Source of the condition: "Specifying conditional headers for Blob service operations",
    learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations.
    """

    def __init__(self, container: ContainerClient, prefix: str = "") -> None:
        self._container = container
        self._prefix = prefix

    def put_if_absent(self, name: str, content: bytes) -> bool:
        from azure.core.exceptions import ResourceExistsError

        for attempt in range(_TRIES):
            try:
                with reachable(f"The container {self._container.container_name!r}"):
                    try:
                        self._blob(name).upload_blob(content, overwrite=False)
                    except ResourceExistsError:
                        # It may be ours: an answer got lost, and the SDK tried again.
                        return self.read(name) == content
                    return True
            except StorageUnavailable:
                _wait_or_raise(attempt)
        return False

    def read(self, name: str) -> bytes | None:
        from azure.core.exceptions import ResourceNotFoundError

        for attempt in range(_TRIES):
            try:
                with reachable(f"The container {self._container.container_name!r}"):
                    try:
                        return bytes(self._blob(name).download_blob().readall())
                    except ResourceNotFoundError:
                        return None
            except StorageUnavailable:
                _wait_or_raise(attempt)
        return None

    def names(self, prefix: str) -> list[str]:
        with reachable(f"The container {self._container.container_name!r}"):
            found = self._container.list_blob_names(name_starts_with=self._prefix + prefix)
            return sorted(name.removeprefix(self._prefix) for name in found)

    def _blob(self, name: str) -> BlobClient:
        return self._container.get_blob_client(self._prefix + name)


def _wait_or_raise(attempt: int) -> None:
    """To be called in an ``except``: waits a little longer each time, the last time it raises."""
    if attempt == _TRIES - 1:
        raise  # noqa: PLE0704 - re-raises the caller's
    time.sleep(0.1 * 2**attempt)
