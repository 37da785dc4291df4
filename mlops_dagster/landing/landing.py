"""A project's landing: its source, ledger, rules and tables in one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.home import make_home
from mlops_dagster.landing.ledger import Ledger
from mlops_dagster.landing.rules import Rules
from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.sources import Source
from mlops_dagster.landing.tables import Tables
from mlops_dagster.objects import BlobStore, FolderStore
from mlops_dagster.system.files import writing


@dataclass(frozen=True)
class Landing:
    """Everything that the functions of this package need.

    Attributes:
        staging: a folder of this machine in which batches are laid out for their jobs.
    """

    project: str
    source: Source
    ledger: Ledger
    selection: Selection
    rules: Rules
    tables: Tables
    staging: Path

    @property
    def is_cheap_to_watch(self) -> bool:
        """Whether it may be looked at again and again without a cost to anybody."""
        return self.source.is_cheap and not self.ledger.is_shared


def open_landing(
    project: str,
    *,
    drops: str | Path,
    home: Path,
    queue: str | None = None,
    tables: Tables | None = None,
    selection: Selection | None = None,
    rules: Rules | None = None,
    shared: str | Path | None = None,
    credential: Any = None,
) -> Landing:
    """Open a project's landing. Nothing is read yet.

    Args:
        drops: the folder, or ``https://ACCOUNT.blob.core.windows.net/CONTAINER``, where files land.
        home: the state folder; the ledger is ``landing/<project>.db`` in it.
        queue: ``https://ACCOUNT.queue.core.windows.net/QUEUE`` that gets the container's
            BlobCreated events; None lists the container.
        tables: None for ``landing/<project>/`` in the state folder.
        shared: a folder or container URL for the ledger's journal, where several machines work
            on one landing; None for this machine alone.
        credential: for Azure; None for ``AZURE_STORAGE_CONNECTION_STRING`` or azure-identity.

    Raises:
        InvalidRequest: a queue was given for a local folder.
        WorkspaceUnavailable: the ledger cannot be made.
    """
    with writing(home):
        make_home(home)
    folder = home / "landing" / project
    selection = selection or Selection()
    ledger = Ledger(home / "landing" / f"{project}.db", shared=_object_store(shared, credential))
    return Landing(
        project=project,
        source=_source(drops, queue, selection, ledger, credential),
        ledger=ledger,
        selection=selection,
        rules=rules or Rules(),
        tables=_with_storage_options(
            tables or Tables(str(folder / "scores"), str(folder / "quarantine"))
        ),
        staging=folder / "staging",
    )


def _source(
    drops: str | Path,
    queue: str | None,
    selection: Selection,
    ledger: Ledger,
    credential: Any,
) -> Source:
    if not _is_url(drops):
        if queue is not None:
            raise InvalidRequest(
                f"The queue {queue} was given for {drops}, which is a local folder.",
                remedy="Give a container's URL, or leave the queue out.",
            )
        from mlops_dagster.landing.sources.folder import FolderSource

        return FolderSource(Path(drops), selection, ledger.files)

    from mlops_dagster.storage_account import container_client, queue_client

    container = container_client(str(drops), credential)
    if queue is None:
        from mlops_dagster.landing.sources.blobs import BlobSource

        return BlobSource(container, selection)
    from mlops_dagster.landing.sources.queue import QueueSource

    return QueueSource(queue_client(queue, credential), container, selection)


def _with_storage_options(tables: Tables) -> Tables:
    """The tables with what is needed to reach them; options that were given stand."""
    from mlops_dagster.storage_account import table_options

    return replace(tables, options={**table_options(tables.scores), **tables.options})


def _object_store(shared: str | Path | None, credential: Any) -> BlobStore | FolderStore | None:
    if shared is None:
        return None
    if not _is_url(shared):
        return FolderStore(Path(shared))
    from mlops_dagster.storage_account import container_client

    return BlobStore(container_client(str(shared), credential))


def _is_url(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith(("https://", "http://"))
