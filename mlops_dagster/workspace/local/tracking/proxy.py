"""The door through which one job talks to the home's MLflow server.

Loaded when the first request arrives: what it imports would be a tenth of a small job's time.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace.local.tracking.description import Tracking
from mlops_dagster.workspace.local.tracking.runs import Runs
from mlops_dagster.workspace.local.tracking.server import start
from mlops_dagster.workspace.local.tracking.translation import (
    CREATE_RUN,
    REST,
    created_run,
    tagged_as_ours,
    translated_body,
    translated_target,
)

_CHUNK = 1 << 20
_JSON_BYTES = 64 << 20
# Headers that belong to one connection, and those that are made anew.
_OURS = {
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Door:
    """What the connections of one job share: where MLflow listens, and who is who there."""

    def __init__(self, home: Path, job: Tracking) -> None:
        self._home = home
        self._runs: Runs | None = None
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._server: str | None = None
        self.job = job

    def open(self, *, again: bool = False) -> tuple[str, str]:
        """The address of the server and the job's own run; starts and makes what is missing."""
        with self._lock:
            if self._server is None or again:
                self._known[self.job.job] = self.runs.ensure(self.job)
                self._server = start(self._home)
            return self._server, self._known[self.job.job]

    @property
    def runs(self) -> Runs:
        """The runs of the home's jobs."""
        if self._runs is None:
            self._runs = Runs(self._home)
        return self._runs

    def run_of(self, name: str) -> str | None:
        """The id of the run that ``name`` stands for, if it is the name of a job."""
        if name not in self._known:
            found = self.runs.named(name)
            if found is None:
                return None
            self._known[name] = found
        return self._known[name]


def serve(connection: socket.socket, address: tuple[str, int], door: Door) -> None:
    """Answer the requests of one connection until the client closes it."""
    with connection, suppress(OSError):  # the client went away in the middle
        _Handler(connection, address, door)


class _Handler(BaseHTTPRequestHandler):
    """One connection, and its own to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, request: socket.socket, address: tuple[str, int], door: Door) -> None:
        self._door = door
        self._upstream: HTTPConnection | None = None
        try:
            super().__init__(request, address, door)  # type: ignore[arg-type] # never looked at
        finally:
            self._drop_upstream()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the server keeps a log."""

    def _pass_on(self) -> None:
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in ("127.0.0.1", "localhost"):  # a page that had its own name point here
            self._refuse(403, "PERMISSION_DENIED", f"This is not {host}.")
            return
        try:
            server, run = self._door.open()
            target = translated_target(self.path, self._door.run_of)
            answer = self._asked(server, run, target)
        except MlopsError as error:
            # 501 is not among the codes on which an MLflow client waits and asks again.
            self._refuse(501, "INTERNAL_ERROR", str(error))
        except (OSError, HTTPException) as error:
            self._refuse(502, "TEMPORARILY_UNAVAILABLE", f"MLflow went away: {error}")
        else:
            self._answer(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _pass_on  # noqa: N815 - http.server's names

    def _asked(self, server: str, run: str, target: str) -> HTTPResponse:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OURS}
        length = int(self.headers.get("Content-Length") or 0)
        is_json = "json" in self.headers.get("Content-Type", "") and length <= _JSON_BYTES
        if length and not (is_json and REST.match(target)):
            headers["Content-Length"] = str(length)
            return self._sent(server, target, self._pieces(length), headers)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            headers["Transfer-Encoding"] = "chunked"
            return self._sent(server, target, self._chunks(), headers)
        body = self.rfile.read(length)
        if length:
            body = translated_body(body, self._door.run_of)
        if CREATE_RUN.fullmatch(target.partition("?")[0]):
            body = tagged_as_ours(body, self._door.job.job, run)
            headers.pop("Accept-Encoding", None)
        if length or self.command in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(body))
        return self._sent(server, target, body, headers)

    def _sent(
        self, server: str, target: str, body: bytes | Iterator[bytes], headers: dict[str, str]
    ) -> HTTPResponse:
        """Send it; where the server has gone to sleep, it is started and asked once more.

        What streams can be sent once, so it goes over a connection that is known to be new.
        """
        streams = not isinstance(body, bytes)
        chunked = "Transfer-Encoding" in headers
        for is_last in (False, False, True):
            if self._upstream is not None and (streams or _is_closed(self._upstream.sock)):
                self._drop_upstream()
            try:
                if self._upstream is None:
                    self._upstream = HTTPConnection(urlsplit(server).netloc, timeout=600)
                    self._upstream.connect()
                self._upstream.request(self.command, target, body, headers, encode_chunked=chunked)
                return self._upstream.getresponse()
            except ConnectionError as error:
                self._drop_upstream()
                if is_last or (streams and not isinstance(error, ConnectionRefusedError)):
                    raise
                server, _ = self._door.open(again=True)
            except (OSError, HTTPException):
                self._drop_upstream()
                raise
        raise AssertionError  # the last attempt returns or raises

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None

    def _answer(self, answer: HTTPResponse) -> None:
        length = answer.getheader("Content-Length")
        keep = None
        if CREATE_RUN.fullmatch(self.path.partition("?")[0]):
            keep = answer.read()
            made = created_run(keep)
            if made:
                self._door.runs.add(self._door.job.job, *made)
            length = str(len(keep))
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OURS:
                self.send_header(name, value)
        has_body = self.command != "HEAD" and answer.status not in (204, 304)
        if length is not None:
            self.send_header("Content-Length", length)
        elif has_body:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = iter([keep]) if keep is not None else iter(lambda: answer.read(_CHUNK), b"")
        for piece in pieces:
            if has_body and length is None:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif has_body:
                self.wfile.write(piece)
        if has_body and length is None:
            self.wfile.write(b"0\r\n\r\n")

    def _pieces(self, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self.rfile.read(min(length, _CHUNK))
            if not piece:
                raise ConnectionResetError("The client sent less than it announced.")
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            yield from self._pieces(size)
            self.rfile.readline(100)
        while self.rfile.readline(65536).strip():  # trailers
            pass

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error_code": code, "message": message}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


def _is_closed(idle: socket.socket | None) -> bool:
    """Whether the other side has closed an idle connection: there is something to read, the end."""
    if idle is None:
        return True
    with selectors.DefaultSelector() as waiting:
        waiting.register(idle, selectors.EVENT_READ)
        return bool(waiting.select(0))
