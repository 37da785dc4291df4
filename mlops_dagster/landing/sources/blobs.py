"""A blob container, by listing it.

A pass lists the container in the order of its names, page by page, over as many ticks as it takes.
A blob is handed out when it was modified after ``since``, and why nothing is lost is this:

- Listing is strongly consistent: a pass that begins at the service's time T hands out, or has
  handed out before, every blob that lay there at T and that nobody has changed since.
- What is created or overwritten while the pass is under way, perhaps among names that it has
  passed, was modified at T or later. So the next pass takes ``since`` = T - overlap.
- T is read from the ``Date`` header of the pass's first answer, and a blob's time is the service's
  own too: this machine's clock has no say. The overlap (15 minutes) is for the service's machines,
  which need not agree to the second, and for times given in whole seconds.
- What was modified in the overlap comes twice, and the ledger knows it by its id. That is the
  bounded set at the edge; this module holds one page and a cursor.
- Renaming a file in a hierarchical namespace keeps its time (Spark commits its output so). Every
  50th pass therefore takes all blobs, also under dates that the dated prefixes leave out.

Source: "List Blobs", learn.microsoft.com/rest/api/storageservices/list-blobs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.landing.selection import Selection
from mlops_dagster.landing.sources.blob_fetch import fetch_blob
from mlops_dagster.landing.sources.port import Page
from mlops_dagster.landing.values import Drop, now
from mlops_dagster.storage_account import reachable, service_time

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

_OVERLAP = timedelta(minutes=15)
_FULL_EVERY = 50


@dataclass(frozen=True)
class _Pass:
    """Where a pass stands; its JSON is the cursor.

    Attributes:
        number: of the pass, from 0.
        since: blobs modified before it are known; None takes all.
        began: the service's time at its first answer; None before that.
        day: this machine's time when it began, by which dated prefixes are chosen.
        prefix: the position among the prefixes.
        token: the service's continuation token within it.
    """

    number: int = 0
    since: str | None = None
    began: str | None = None
    day: str | None = None
    prefix: int = 0
    token: str | None = None


class BlobSource:
    """Watches a container, or what lies under a prefix of it, by listing.

    Args:
        page_size: blobs a request, at most 5,000 (the service's limit).
        full_every: every so many passes one takes all blobs, whatever their time.
    """

    def __init__(
        self,
        container: ContainerClient,
        selection: Selection,
        *,
        page_size: int = 5_000,
        full_every: int = _FULL_EVERY,
    ) -> None:
        self._container = container
        self._selection = selection
        self._page_size = page_size
        self._full_every = full_every

    @property
    def identity(self) -> str:
        return f"list:{self._container.url.partition('?')[0]}"

    @property
    def is_cheap(self) -> bool:
        """A listing is charged for, and takes longer the more there is."""
        return False

    def scan(self, cursor: str | None, until: float) -> Iterator[Page]:
        at = _Pass(**json.loads(cursor)) if cursor else _Pass()
        if at.day is None:
            at = replace(at, day=now().isoformat())
        while True:
            page, at = self._page(at)
            yield page
            if page.complete or time.monotonic() > until:
                return

    def accept(self, page: Page) -> None:
        """Nothing to give back."""

    def fetch(self, drop: Drop, to: Path) -> None:
        fetch_blob(self._container, drop, to)

    def _page(self, at: _Pass) -> tuple[Page, _Pass]:
        is_full = at.number % self._full_every == 0
        prefixes = self._prefixes(at, is_full)
        since = None if is_full or at.since is None else datetime.fromisoformat(at.since)
        answers: list[Any] = []
        with reachable(f"The container {self._container.container_name!r}"):
            pages = self._container.list_blobs(
                name_starts_with=prefixes[at.prefix] or None,
                results_per_page=self._page_size,
                raw_response_hook=answers.append,
            ).by_page(continuation_token=at.token)
            blobs = list(next(pages, ()))
        began = at.began
        if began is None:
            service = service_time(answers[0]) if answers else None
            began = service.isoformat() if service else at.since
        drops, markers = self._drops_and_markers(blobs, since)

        token = getattr(pages, "continuation_token", None) or None
        following = replace(at, token=token, began=began)
        if token is None:
            following = replace(following, prefix=at.prefix + 1)
        if following.prefix >= len(prefixes):
            from_here = began and (datetime.fromisoformat(began) - _OVERLAP).isoformat()
            following = _Pass(number=at.number + 1, since=from_here)
        complete = following.number > at.number
        return Page(drops, json.dumps(asdict(following)), complete, markers), following

    def _prefixes(self, at: _Pass, is_full: bool) -> tuple[str, ...]:
        if is_full or at.day is None:
            return (self._selection.fixed_prefix,)
        return self._selection.prefixes(datetime.fromisoformat(at.day))

    def _drops_and_markers(
        self, blobs: list[BlobProperties], since: datetime | None
    ) -> tuple[tuple[Drop, ...], tuple[tuple[str, datetime], ...]]:
        drops, markers = [], []
        for blob in blobs:
            modified = blob.last_modified
            if since is not None and modified < since:
                continue
            folder = self._selection.marked_folder(blob.name)
            if folder is not None:
                markers.append((folder, modified))
            elif self._selection.includes(blob.name) and not _is_folder(blob):
                drops.append(Drop(blob.name, blob.etag.strip('"'), blob.size, modified))
        return tuple(drops), tuple(markers)


def _is_folder(blob: BlobProperties) -> bool:
    """Whether it stands for a folder of a hierarchical namespace."""
    metadata = blob.metadata or {}
    return bool(blob.size == 0 and metadata.get("hdi_isfolder") == "true")
