"""The address at which a job finds MLflow: it starts the home's server and passes bytes on.

The server itself knows the job, by the path of the address, and does all the rest.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from mlops_dagster.errors import MlopsError
from mlops_dagster.workspace.local.tracking.service import start

_CHUNK = 1 << 18


def serve(client: socket.socket, home: Path) -> None:
    """Connect a client with the home's MLflow server until either of them has closed."""
    with client, suppress(OSError):
        try:
            address = urlsplit(start(home))
            server = socket.create_connection((address.hostname, address.port))
        except (MlopsError, OSError) as error:
            _refuse(client, str(error))
            return
        with server:
            for end in (client, server):  # requests are small and answered one by one
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(_CHUNK):
            target.sendall(content)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _refuse(client: socket.socket, message: str) -> None:
    """Answer in MLflow's terms; 501 is no status on which its clients wait and ask again."""
    body = json.dumps({"error_code": "INTERNAL_ERROR", "message": message}).encode()
    client.recv(_CHUNK)  # a connection that is closed before it was read is reset
    client.sendall(
        b"HTTP/1.1 501 Not Implemented\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    client.shutdown(socket.SHUT_WR)
    while client.recv(_CHUNK):
        pass
