"""Storage accounts for tests: clients of the emulator, and a proxy that makes it unreliable."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from mlops_dagster.cli.azurite import Azurite

ROOT = Path(__file__).parent.parent.parent
# A test wants to see an error, not the SDK's patience.
ONCE: dict[str, Any] = {"retry_total": 0}


def container_client(account: Azurite, name: str) -> ContainerClient:
    return ContainerClient.from_connection_string(account.connection, name, **ONCE)


def queue_client(account: Azurite, name: str) -> QueueClient:
    return QueueClient.from_connection_string(account.connection, name, **ONCE)


def new_container(account: Azurite) -> ContainerClient:
    client = container_client(account, f"drops-{uuid.uuid4().hex[:12]}")
    client.create_container()
    return client


def new_queue(account: Azurite) -> QueueClient:
    client = queue_client(account, f"events-{uuid.uuid4().hex[:12]}")
    client.create_queue()
    return client


@contextmanager
def unreliable(
    port: int, *, one_in: int = 4, down: Path | None = None
) -> Iterator[tuple[int, list[str]]]:
    """A port that leads to ``port`` and fails once in ``one_in`` requests; its faults so far.

    While the file ``down`` is there, nothing passes.
    In a process of its own: Delta's file system keeps Python's lock while it waits for an answer.
    """
    command = [sys.executable, "-m", "tests.landing.unreliable", str(port), str(one_in)]
    command += [str(down)] if down is not None else []
    faults: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            listening = int(process.stdout.readline())
            told = threading.Thread(target=_gather, args=(process.stdout, faults), daemon=True)
            told.start()
            yield listening, faults
        finally:
            process.kill()


def _gather(lines: Iterable[str], faults: list[str]) -> None:
    faults.extend(line.strip() for line in lines)
