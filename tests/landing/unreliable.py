"""A program: a proxy on loopback that passes HTTP requests on, and makes some of them go wrong.

    python -m tests.landing.unreliable PORT ONE_IN [DOWN]

Prints the port that it listens on, then a word for each fault that it makes. While the file DOWN is
there, nothing passes.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Unreliable(BaseHTTPRequestHandler):
    """Passes requests on; some go wrong, in one of five ways."""

    protocol_version = "HTTP/1.1"
    target = 0
    one_in = 4
    down: Path | None = None
    dice = random.Random(4)

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        fault = self.dice.choice(["503", "429", "reset", "lost", "slow"])
        fault = fault if self.dice.random() < 1 / self.one_in else ""
        if self.down is not None and self.down.exists():
            fault = "reset"
        if fault:
            print_line(fault)
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
        described = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", described or str(len(content)))
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


def print_line(word: str) -> None:
    """Print a line in one piece, whichever thread prints another."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(port: int, one_in: int, down: str | None = None) -> None:
    Unreliable.target, Unreliable.one_in = port, one_in
    Unreliable.down = Path(down) if down is not None else None
    with ThreadingHTTPServer(("127.0.0.1", 0), Unreliable) as server:
        server.daemon_threads = True
        print_line(str(server.server_address[1]))
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
