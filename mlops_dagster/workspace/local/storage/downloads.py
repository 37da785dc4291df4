"""Files from the network, kept: one copy a version of what lies at an address.

::

    .mlops/cache/downloads/
      ADDRESS/                  digest of the address
        latest.json             what the server told of the newest copy; sent back to it, it answers whether that is still right
        VERSION/NAME            a copy, read-only
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from mlops_dagster.system import atomic
from mlops_dagster.system.files import make_read_only, mark_used, staging, writing
from mlops_dagster.workspace.local.ground.addresses import redact

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request

LATEST = "latest.json"

_SECONDS = 30.0
_CHUNK = 1 << 20
_LONGEST_NAME = 200

Say = Callable[[str], None]


class NotFetched(Exception):
    """An address gave no file; the reason is to be reported with the input that it belongs to."""


@dataclass(frozen=True)
class _Copy:
    file: str
    size: int
    at: str
    etag: str | None = None
    modified: str | None = None


class Downloads:
    """The downloads of one home."""

    def __init__(self, home: Path) -> None:
        self._root = home / "cache" / "downloads"

    def fetch(self, url: str, *, say: Say = lambda _: None) -> Path:
        """The file at an ``http(s)://`` address; asked for again only where it has changed.

        A copy serves where the server cannot be reached or is out of order.

        Args:
            say: called with a line on each download, with its size, before it begins, and on an old copy.

        Raises NotFetched, WorkspaceUnavailable where the disk refuses it.
        """
        folder = self._root / hashlib.sha256(url.encode()).hexdigest()[:32]
        known = _latest_copy(folder)
        try:
            file = self._fetch(url, folder, known, say)
        except _Unreachable as problem:
            if known is None:
                raise NotFetched(str(problem)) from None
            say(f"{redact(url)} {problem}; the copy of {known.at} is used.")
            file = folder / known.file
        mark_used(folder / LATEST)
        return file

    def _fetch(self, url: str, folder: Path, known: _Copy | None, say: Say) -> Path:
        import urllib.error  # it brings much that a job without an address does not need

        try:
            with _opener().open(_request(url, known), timeout=_SECONDS) as response:
                return self._save(url, folder, response, say)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.NOT_MODIFIED and known is not None:
                return folder / known.file
            reason = f"answered {error.code} {error.reason}".strip()
            if error.code < http.client.INTERNAL_SERVER_ERROR:
                raise NotFetched(reason) from None
            raise _Unreachable(reason) from None
        except urllib.error.URLError as error:
            raise _Unreachable(f"cannot be reached: {error.reason}") from None
        except http.client.InvalidURL:
            raise NotFetched("is not an address") from None
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise _Unreachable(f"cannot be reached: {reason}") from None

    def _save(self, url: str, folder: Path, response: http.client.HTTPResponse, say: Say) -> Path:
        length = response.headers.get("Content-Length")
        expected = int(length) if length is not None and length.isdecimal() else None
        size = f" ({_shown_size(expected)})" if expected is not None else ""
        say(f"Downloading {redact(url)}{size} ...")
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        validators = f"{etag} {modified}" if etag or modified else uuid.uuid4().hex
        with writing(self._root), staging(self._root / ".staging") as place:
            file = place / "copy" / _name(urlsplit(url))
            file.parent.mkdir()
            count = _receive(response, file)
            if expected is not None and count != expected:
                raise _Unreachable(f"broke off after {count} of {expected} bytes")
            version = hashlib.sha256(f"{validators} {count}".encode()).hexdigest()[:16]
            folder.mkdir(parents=True, exist_ok=True)
            atomic.move(file.parent, folder / version)
            copy = _Copy(f"{version}/{file.name}", count, _now(), etag, modified)
            make_read_only(folder / copy.file)
            atomic.write(folder / LATEST, json.dumps(asdict(copy)).encode())
        return folder / copy.file


def older_versions(folder: Path) -> list[Path]:
    """The copies of an address, by its folder, that a newer one has followed."""
    known = _latest_copy(folder)
    if known is None:
        return []
    newest = known.file.partition("/")[0]
    return [path for path in folder.iterdir() if path.is_dir() and path.name != newest]


class _Unreachable(Exception):
    """The server did not give an answer that says anything of the file."""


def _receive(response: http.client.HTTPResponse, to: Path) -> int:
    count = 0
    with to.open("wb") as file:
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Unreachable(f"broke off after {count} bytes: {error}") from None
            if not chunk:
                return count
            count += file.write(chunk)


def _request(url: str, known: _Copy | None) -> Request:
    from urllib.request import Request

    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    # The opener below has handlers for http and https alone.
    request = Request(  # noqa: S310
        urlunsplit(parts._replace(netloc=host, path=path, fragment=""))
    )
    request.add_header("Accept-Encoding", "identity")
    request.add_header("User-Agent", "mlops_dagster")
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # Not sent on to where a redirect leads.
        request.add_unredirected_header(
            "Authorization", f"Basic {base64.b64encode(credentials.encode()).decode()}"
        )
    for header, value in _conditions(known).items():
        request.add_header(header, value)
    return request


def _conditions(known: _Copy | None) -> Mapping[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.modified} if known.modified else {}


def _opener() -> OpenerDirector:
    """Follows redirects to the network only: a server cannot name a file of this machine."""
    import urllib.request as network

    opener = network.OpenerDirector()
    for handler in (
        network.ProxyHandler,
        network.HTTPHandler,
        network.HTTPSHandler,
        network.HTTPRedirectHandler,
        network.HTTPDefaultErrorHandler,
        network.HTTPErrorProcessor,
        network.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _latest_copy(folder: Path) -> _Copy | None:
    try:
        copy = _Copy(**json.loads((folder / LATEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return copy if (folder / copy.file).is_file() else None


def _name(parts: SplitResult) -> str:
    """The name of a downloaded file: the address's last, made one that every disk takes."""
    last = unquote(parts.path.rpartition("/")[2])
    return re.sub(r"[^\w. -]", "_", last).strip(". ")[-_LONGEST_NAME:] or "download"


def _shown_size(size: float) -> str:
    unit = "bytes"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
