"""A storm's files in a storage account whose network fails."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from mlops_dagster.cli.azurite import Azurite
from mlops_dagster.cli.demo.drops import blob_created
from tests.defs.dropping import Dropping
from tests.landing.azurite import new_container, new_queue, unreliable

CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
# One request in so many fails; an SDK that has failed waits for a second and more.
ONE_IN = 12


@dataclass(frozen=True)
class Account:
    """What lies where: drops and tables in containers, events on a queue.

    Attributes:
        behind: the connection string of the network that fails, for all that works on the drops;
            this process itself has the other.
        down: while this file is there, the network carries nothing.
        told: the faults that the network made so far, of blobs and of queues.
    """

    account: str
    container: ContainerClient
    tables: ContainerClient
    queue: QueueClient
    listing: bool
    behind: str = field(repr=False)
    down: Path
    told: tuple[list[str], list[str]]

    def be_away(self, seconds: float) -> None:
        """Have nothing reach the account for so long."""
        self.down.touch()
        time.sleep(seconds)
        self.down.unlink()

    @property
    def faults(self) -> Counter[str]:
        """How often it failed in each way."""
        return Counter(fault for told in self.told for fault in told)

    @property
    def source(self) -> str:
        """The field ``source`` of the landing, and where its tables are."""
        queue = "" if self.listing else f", queue: {self.queue.queue_name}"
        host = f"{self.tables.container_name}@{self.account}.dfs.core.windows.net"
        return (
            f"{{container: {self.container.container_name}, account: {self.account}{queue}}}\n"
            f"  tables: {{scores: 'abfss://{host}/s', quarantine: 'abfss://{host}/q'}}"
        )


@contextmanager
def unreliable_account(azurite: Azurite, *, listing: bool) -> Iterator[Account]:
    """An account behind a network that fails, for the time of the context."""
    with (
        tempfile.TemporaryDirectory(prefix="network-") as folder,
        pytest.MonkeyPatch.context() as patched,
        unreliable(azurite.blob, one_in=ONE_IN, down=Path(folder, "down")) as (blob, faults),
        unreliable(azurite.queue, one_in=ONE_IN, down=Path(folder, "down")) as (queue, more),
        new_container(azurite) as container,
        new_container(azurite) as tables,
        new_queue(azurite) as events,
    ):
        patched.setenv(CONNECTION, azurite.connection)
        behind = azurite.through(blob=blob, queue=queue).connection
        name = azurite.account
        down = Path(folder, "down")
        yield Account(name, container, tables, events, listing, behind, down, (faults, more))


@dataclass(frozen=True, kw_only=True)
class AccountDropping(Dropping):
    """The project, with its files in an account."""

    account: Account

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, CONNECTION: self.account.behind}

    def drop_text(self, name: str, text: str) -> Path:
        """Upload it and tell of it, as Event Grid does: at least once."""
        self.account.container.upload_blob(name, text.encode())
        for _ in range(2 if name.startswith(("0000", "0005")) else 1):
            told = blob_created(self.account.container, name)
            self.account.queue.send_message(told)
        return Path(name)
