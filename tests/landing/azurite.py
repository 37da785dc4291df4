"""Azurite, the emulator of Azure's blob and queue storage, and a proxy that makes it unreliable."""

from __future__ import annotations

import fcntl
import http.client
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

ACCOUNT = "devstoreaccount1"
# The emulator's well-known key (learn.microsoft.com/azure/storage/common/storage-connect-azurite).
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "3.35.0"
ONCE: dict[str, Any] = {"retry_total": 0}


@dataclass(frozen=True)
class Azurite:
    """Where the emulator listens, on loopback."""

    blob: int
    queue: int

    def through(self, *, blob: int | None = None, queue: int | None = None) -> Azurite:
        return Azurite(blob or self.blob, queue or self.queue)

    @property
    def connection(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{self.blob}/{ACCOUNT};"
            f"QueueEndpoint=http://127.0.0.1:{self.queue}/{ACCOUNT};"
        )

    def container(self, name: str) -> ContainerClient:
        return ContainerClient.from_connection_string(self.connection, name, **ONCE)

    def queue_client(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.connection, name, **ONCE)

    def new_container(self) -> ContainerClient:
        client = self.container(f"drops-{uuid.uuid4().hex[:12]}")
        client.create_container()
        return client

    def new_queue(self) -> QueueClient:
        client = self.queue_client(f"events-{uuid.uuid4().hex[:12]}")
        client.create_queue()
        return client


@contextmanager
def running_azurite() -> Iterator[Azurite]:
    found = Azurite(_free_port(), _free_port())
    with subprocess.Popen(
        [
            "node",
            str(_installed() / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"),
            *("--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"),
            *("--blobHost", "127.0.0.1", "--blobPort", str(found.blob)),
            *("--queueHost", "127.0.0.1", "--queuePort", str(found.queue)),
            *("--tableHost", "127.0.0.1", "--tablePort", str(_free_port())),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            for port in (found.blob, found.queue):
                _wait_for(port, process)
            yield found
        finally:
            process.kill()


def _installed() -> Path:
    """A folder with Azurite in it, installed once per machine."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Azurite needs Node.js (node and npm), which is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mlops_dagster" / f"azurite-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            (folder / "package.json").write_text('{"private": true}')
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", f"azurite@{VERSION}"],
                cwd=folder,
                check=True,
                capture_output=True,
                timeout=170,
            )
            (folder / "installed").touch()
    return folder


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Azurite ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("Azurite did not start")


class _Unreliable(BaseHTTPRequestHandler):
    """Passes requests on; one in four goes wrong, in one of five ways."""

    protocol_version = "HTTP/1.1"
    target = 0
    dice = random.Random(4)
    faults: list[str] = []

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        fault = self.dice.choice(["503", "429", "reset", "lost", "slow"])
        fault = fault if self.dice.random() < 0.25 else ""
        if fault:
            self.faults.append(fault)
        if fault in ("503", "429"):
            self.send_response(int(fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "reset":
            self._reset()
            return
        if fault == "slow":
            time.sleep(0.1)
        upstream = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        if fault == "lost":  # the service did it, and nobody hears of it
            self._reset()
            return
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - the base class's names

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True


@contextmanager
def unreliable(port: int) -> Iterator[tuple[int, list[str]]]:
    """A port that leads to ``port``, and the faults that it made so far."""
    faults: list[str] = []
    handler = type("Handler", (_Unreliable,), {"target": port, "faults": faults})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], faults
        finally:
            server.shutdown()
            thread.join()
