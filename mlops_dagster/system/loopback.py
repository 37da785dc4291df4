"""Ports of this machine, for servers that only it reaches."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import ExitStack, suppress

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """So many different ports on which nobody listens now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind((HOST, 0))
        return [item.getsockname()[1] for item in sockets]


def first_free(candidates: Iterable[int]) -> int | None:
    """The first of these ports on which nobody listens now; None where all are taken."""
    for port in candidates:
        with socket.socket() as probe, suppress(OSError):
            # A port that a server has just left can be listened on again at once.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    return None
