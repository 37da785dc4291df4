"""Event Grid's ``BlobCreated`` events on a storage queue: a tick costs what is new, no more.

A message is deleted when what it says has been written down; a process that dies before leaves it
to reappear, and the ledger knows what it holds. Events come late, twice and out of order; nothing
here depends on their order. What is no event goes to the queue ``<name>-poison``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.sources.blob_fetch import fetch_blob
from mlops_dagster.landing.sources.events import BlobEvent, read_events
from mlops_dagster.landing.sources.port import UNSAFE_ETAG, Page, escaped_name
from mlops_dagster.landing.values import Drop
from mlops_dagster.storage_account import reachable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient, QueueMessage

_LOG = logging.getLogger(__name__)
_MESSAGES = 32  # the service's limit for one request
_HIDDEN = 120  # seconds for which a message that was read is nobody else's
_DELETERS = 8


class QueueSource:
    """Watches a container through the events that are sent to a queue.

    Args:
        container: whose blobs are fetched; events about other containers are passed over.
        hidden: seconds after which a message that was read but not deleted is read again.
    """

    def __init__(
        self,
        queue: QueueClient,
        container: ContainerClient,
        selection: Selection,
        *,
        hidden: int = _HIDDEN,
    ) -> None:
        self._queue = queue
        self._container = container
        self._selection = selection
        self._hidden = hidden

    @property
    def identity(self) -> str:
        return f"queue:{self._queue.url.partition('?')[0]}"

    @property
    def is_cheap(self) -> bool:
        return True

    def scan(self, cursor: str | None, until: float) -> Iterator[Page]:  # noqa: ARG002 - the queue remembers
        while True:
            page = self._page()
            yield page
            if page.complete or time.monotonic() > until:
                return

    def accept(self, page: Page) -> None:
        """Delete a page's messages; one that cannot be deleted comes again and is known then."""
        if not page.receipts:
            return
        with ThreadPoolExecutor(_DELETERS) as pool:
            list(pool.map(self._delete, page.receipts))

    def fetch(self, drop: Drop, to: Path) -> None:
        fetch_blob(self._container, drop, to)

    def _page(self) -> Page:
        with reachable(f"The queue {self._queue.queue_name!r}"):
            messages = list(
                next(
                    self._queue.receive_messages(
                        messages_per_page=_MESSAGES, visibility_timeout=self._hidden
                    ).by_page(),
                    (),
                )
            )
        drops: list[Drop] = []
        markers: list[tuple[str, datetime]] = []
        for message in messages:
            try:
                events = read_events(message.content)
            except (ValueError, TypeError) as error:
                self._set_aside(message, str(error))
                continue
            for event in events:
                self._add(event, drops, markers)
        return Page(
            tuple(drops), "", not messages, tuple(markers), tuple(messages), is_listing=False
        )

    def _add(
        self, event: BlobEvent, drops: list[Drop], markers: list[tuple[str, datetime]]
    ) -> None:
        if event.container != self._container.container_name:
            return
        folder = self._selection.marked_folder(event.path)
        if folder is not None:
            markers.append((folder, event.at))
        elif self._selection.includes(event.path):
            drop = self._drop(event)
            if drop is not None:
                drops.append(drop)

    def _drop(self, event: BlobEvent) -> Drop | None:
        safe = escaped_name(event.path)
        if safe is not None:
            return Drop(safe, f"{UNSAFE_ETAG}{event.etag}", event.size or 0, event.at)
        if event.etag is not None and event.size is not None:
            return Drop(event.path, event.etag, event.size, event.at)
        from azure.core.exceptions import ResourceNotFoundError

        with reachable(f"The blob {event.path!r}"):
            try:
                found = self._container.get_blob_client(event.path).get_blob_properties()
            except ResourceNotFoundError:
                return None
        return Drop(event.path, found.etag.strip('"'), found.size, event.at)

    def _set_aside(self, message: QueueMessage, why: str) -> None:
        from azure.core.exceptions import ResourceExistsError

        poison = self._poison_queue()
        with reachable(f"The queue {poison.queue_name!r}"):
            with suppress(ResourceExistsError):
                poison.create_queue()
            poison.send_message(message.content)
        _LOG.warning(
            "Message %s on queue %s is no blob event (%s); it was moved to %s.",
            message.id,
            self._queue.queue_name,
            why,
            poison.queue_name,
        )

    def _poison_queue(self) -> QueueClient:
        from azure.storage.queue import QueueClient

        name = f"{self._queue.queue_name}-poison"
        base = self._queue.url.partition("?")[0].rpartition("/")[0]
        return QueueClient.from_queue_url(f"{base}/{name}", self._queue.credential)

    def _delete(self, message: QueueMessage) -> None:
        from azure.core.exceptions import AzureError

        with suppress(AzureError):
            self._queue.delete_message(message)
