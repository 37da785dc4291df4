"""Event Grid's events about blobs, read from their text.

Both schemas are understood, Event Grid's and CloudEvents 1.0, plain or in base64, one event or a
list. Sources: learn.microsoft.com/azure/event-grid/event-schema-blob-storage and
learn.microsoft.com/azure/event-grid/handler-storage-queues.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

# These calls make a file of a hierarchical namespace, empty; FlushWithClose or SftpCommit tells when
# it is whole (the page on the schema, about Microsoft.Storage.BlobCreated).
_PARTIAL = {"CreateFile", "SftpCreate"}
_CREATED = "Microsoft.Storage.BlobCreated"
_RENAMED = "Microsoft.Storage.BlobRenamed"


@dataclass(frozen=True)
class BlobEvent:
    """A blob that is whole now.

    Attributes:
        etag, size: None where the event does not say (a renamed blob).
        at: the service's time of the event.
    """

    container: str
    path: str
    etag: str | None
    size: int | None
    at: datetime


def read_events(text: str | bytes) -> list[BlobEvent]:
    """The events of a message about blobs that came to be; none for events of other kinds.

    Raises ValueError where the message is no event.
    """
    body = _parse_json(text)
    events = body if isinstance(body, list) else [body]
    try:
        return [found for event in events if (found := _parse_event(event)) is not None]
    except (AttributeError, TypeError) as error:
        raise ValueError(f"a part of it has another form: {error}") from error


def _parse_json(text: str | bytes) -> Any:
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    text = text.strip().removeprefix("\ufeff")
    if not text.startswith(("{", "[")):
        try:
            text = base64.b64decode(text, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("it is neither JSON nor base64 of it") from error
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _parse_event(event: Any) -> BlobEvent | None:
    fields = event if isinstance(event, dict) else {}
    kind = fields.get("type") or fields.get("eventType")
    if kind is None:
        raise ValueError("it has neither type nor eventType")
    if kind not in (_CREATED, _RENAMED):
        return None
    data, time = fields.get("data") or {}, fields.get("time") or fields.get("eventTime")
    if not data or not time:
        raise ValueError("it has no data or no time")
    if kind == _RENAMED:
        container, path = _split_url(data.get("destinationUrl"))
        return BlobEvent(container, path, None, None, _parse_time(str(time)))
    if data.get("api") in _PARTIAL:
        return None
    container, path = _split_subject(fields.get("subject"))
    etag, size = data.get("eTag"), data.get("contentLength")
    known = isinstance(etag, str) and isinstance(size, int)
    return BlobEvent(
        container,
        path,
        str(etag).strip('"') if known else None,
        size if known else None,
        _parse_time(str(time)),
    )


def _split_subject(subject: Any) -> tuple[str, str]:
    """``/blobServices/default/containers/C/blobs/PATH``; the path is written as it is."""
    head, found, path = str(subject).partition("/blobs/")
    if not found or "/containers/" not in head:
        raise ValueError(f"its subject is {subject!r}")
    return head.rpartition("/containers/")[2], path


def _split_url(url: Any) -> tuple[str, str]:
    container, _, path = unquote(urlsplit(str(url)).path).lstrip("/").partition("/")
    if not path:
        raise ValueError(f"its destinationUrl is {url!r}")
    return container, path


def _parse_time(text: str) -> datetime:
    """An ISO time; Event Grid writes seven decimals, of which six are kept."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
