"""Packages to install without a network, and files to download from this machine."""

from __future__ import annotations

import ensurepip
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that stands for PyPI, so that nothing leaves this machine."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version in (("greeting", "1.0"), ("greeting", "2.0"), ("mlflow_skinny", "9.9")):
        _write_wheel(wheels, name, version)
    for wheel in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
        shutil.copy(wheel, wheels)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return wheels


@dataclass
class Site:
    """A web server on this machine.

    Attributes:
        files: content and etag by path; a status instead of content is answered as it is.
        requests: the paths that were asked for, with the answer's status.
        authorization: the last such header.
        cut: breaks off after this many bytes.
    """

    url: str = ""
    files: dict[str, tuple[bytes | int, str | None]] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)
    authorization: str | None = None
    cut: int | None = None


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on this machine that tells what it was asked."""
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.authorization = self.headers["Authorization"]
            content, etag = found.files.get(self.path.partition("?")[0], (404, None))
            status = content if isinstance(content, int) else 200
            if status == 200 and etag is not None and self.headers["If-None-Match"] == etag:
                status = 304
            found.requests.append((self.path, status))
            self.send_response(status)
            body = content if isinstance(content, bytes) and status == 200 else b""
            if status in (301, 302):
                self.send_header("Location", etag or "")
            elif etag is not None:
                self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: found.cut])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def _write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")
