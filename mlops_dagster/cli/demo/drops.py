"""Where the demo drops its example files: a folder, or a storage account that Azurite emulates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_dagster.cli.azurite import running_azurite
from mlops_dagster.cli.output import note
from mlops_dagster.errors import InvalidRequest, MlopsError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from mlops_dagster.cli.dagster.instance import Place
    from mlops_dagster.project import LandingPlace, Project

_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"


class Drops(Protocol):
    """A place to drop files into."""

    @property
    def where(self) -> str:
        """The place, for a person."""

    def names(self) -> set[str]:
        """The files that lie there."""

    def drop(self, example: Path) -> None:
        """Run the example's script, so that its files lie there; those that do are left alone."""

    def announce(self, names: Iterable[str]) -> None:
        """Tell of files as the place would, where somebody has to be told."""


class FolderDrops:
    """A folder, in which files are looked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        return str(self._folder)

    def names(self) -> set[str]:
        if not self._folder.is_dir():
            return set()
        return {each.name for each in self._folder.iterdir() if not _is_hidden(each.name)}

    def drop(self, example: Path) -> None:
        ran = subprocess.run(
            [sys.executable, str(example), str(self._folder)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if ran.returncode != 0:
            said = (ran.stderr.strip().splitlines() or ["no reason was given"])[-1]
            raise MlopsError(f"The example files could not be dropped: {said}")

    def announce(self, names: Iterable[str]) -> None:
        """Nothing is sent for files in a folder."""


class ContainerDrops:
    """A container of an emulated account. We send its events to the queue: the emulator has no
    Event Grid.

    Args:
        scratch: a folder in which the example's files are made before they are uploaded.
    """

    def __init__(self, place: LandingPlace, scratch: Path) -> None:
        from mlops_dagster.storage_account import container_client, queue_client

        self._made = FolderDrops(scratch)
        self._scratch = scratch
        self._container = container_client(place.container or "")
        self._queue = queue_client(place.queue) if place.queue is not None else None
        self._make(container_client(address) for address in _containers_of_tables(place))

    def _make(self, tables: Iterable[ContainerClient]) -> None:
        from azure.core.exceptions import ResourceExistsError

        for container in (self._container, *tables):
            with suppress(ResourceExistsError):
                container.create_container()
        if self._queue is not None:
            with suppress(ResourceExistsError):
                self._queue.create_queue()

    @property
    def where(self) -> str:
        return f"the container {self._container.container_name} of {self._container.account_name}"

    def names(self) -> set[str]:
        return {name for name in self._container.list_blob_names() if not _is_hidden(name)}

    def drop(self, example: Path) -> None:
        self._made.drop(example)
        for name in sorted(self._made.names() - self.names()):
            with (self._scratch / name).open("rb") as data:
                self._container.upload_blob(name, data)

    def announce(self, names: Iterable[str]) -> None:
        if self._queue is not None:
            for name in sorted(names):
                self._queue.send_message(blob_created(self._container, name))


@contextmanager
def emulated_account(place: Place, project: Project, workspace: str | None) -> Iterator[None]:
    """Watch the landing of ``workspace`` while the context lasts, its storage account emulated.

    What is stored stays in the state folder. Without a workspace nothing changes.

    Raises InvalidRequest where files do not land in a container there, or what is needed is not
    installed.
    """
    if workspace is None:
        yield
        return
    from mlops_dagster.landing.declaration import LANDING, declared_place

    found = declared_place(project, workspace)
    if found.container is None:
        raise InvalidRequest(
            f"In the workspace {workspace!r} files land in a folder, which needs no emulator.",
            remedy=f"Say source: {{container: ..., account: ...}} in .cloud/{workspace}/landing.yml",
        )
    account = found.source.account or found.container.partition("//")[2].partition(".")[0]
    note(f"Starting Azurite in the place of the storage account {account} ...")
    with running_azurite(account, home=place.home) as emulator:
        given = {LANDING: workspace, _CONNECTION: emulator.connection}
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def blob_created(container: ContainerClient, name: str) -> str:
    """What Event Grid would say of a blob (its own schema, learn.microsoft.com/azure/event-grid)."""
    found = container.get_blob_client(name).get_blob_properties()
    event = {
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": datetime.now(UTC).isoformat(),
        "subject": f"/blobServices/default/containers/{container.container_name}/blobs/{name}",
        "data": {"api": "PutBlob", "eTag": found.etag.strip('"'), "contentLength": found.size},
    }
    return json.dumps(event)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _containers_of_tables(place: LandingPlace) -> Iterator[str]:
    """The addresses of the containers of ``abfss://CONTAINER@HOST/...``."""
    for uri in (place.tables.scores, place.tables.quarantine) if place.tables else ():
        container, at, rest = uri.partition("://")[2].partition("@")
        if at:
            yield f"https://{rest.partition('/')[0]}/{container}"
