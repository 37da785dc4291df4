"""`mlops ui` and `mlops stop`: what runs beside the jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Annotated

import typer

from mlops_dagster.cli.dagster.instance import find_place
from mlops_dagster.cli.output import note
from mlops_dagster.cli.session import session
from mlops_dagster.errors import InvalidRequest, MlopsError
from mlops_dagster.system.loopback import HOST, first_free
from mlops_dagster.system.process_tree import ProcessTree

_FIRST_PORT = 3000
_READY_SECONDS = 180
_END_SECONDS = 20


def ui(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "-p", min=1, max=65_535, help="By default 3000, or the next that is free."
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open a browser once it is ready.")
    ] = True,
) -> None:
    """Serve the Dagster UI until Ctrl-C.

    Its daemon, which runs schedules and sensors, is served with it. Only this machine reaches it.
    """
    place = find_place()
    port = _free_port(port)
    address = f"http://{HOST}:{port}"
    # `dagster dev` serves the code locations once for both the web server and the daemon; `dg dev`
    # would take its own list of projects instead of workspace.yaml.
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "--log-level", "warning"]
    command += ["--workspace", str(place.workspace_file), "--host", HOST, "--port", str(port)]
    note(f"Starting Dagster on {place.dagster_home} ...")
    with _terminated_as_interrupted(), served(command, place.root, place.environment()) as server:
        try:
            _await_ready(server, address)
            print(f"Dagster UI: {address}  (Ctrl-C ends it)", flush=True)
            if open_browser and _has_screen():
                import webbrowser

                webbrowser.open(address)
            if server.wait() != 0:
                raise MlopsError(
                    f"Dagster ended with status {server.returncode}.", remedy="Its log is above."
                )
        except KeyboardInterrupt:
            note("Ending Dagster ...")


def stop(context: typer.Context) -> None:
    """End what runs in the background, but jobs.

    That is the workspace's tracking server; it starts again by itself when a job needs it.
    """
    with session(context).open() as workspace:
        workspace.stop_services()
    note("Nothing runs in the background any more but jobs; see them: mlops job list")


def _free_port(wanted: int | None) -> int:
    candidates = [wanted] if wanted is not None else range(_FIRST_PORT, _FIRST_PORT + 100)
    if (port := first_free(candidates)) is not None:
        return port
    taken = f"Port {wanted}" if wanted is not None else "Every port from 3000 to 3099"
    raise InvalidRequest(f"{taken} is in use.", remedy="Choose another one with --port.")


@contextmanager
def served(
    command: list[str], folder: Path, environment: dict[str, str], *, log: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server with all its children, which end when the context does.

    It has a session of its own, so that a Ctrl-C reaches it once, from here, and not also from the
    terminal while it is ending its children. Without a ``log`` it writes to this terminal.
    """
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        _end_tree(server)


def _end_tree(server: subprocess.Popen[bytes]) -> None:
    """End a server, which ends its children; then those that are left, such as runs."""
    tree = ProcessTree([server.pid])
    try:
        tree.end(interrupt_seconds=_END_SECONDS, grace=_END_SECONDS)
    except KeyboardInterrupt:
        note("Ending at once.")
        tree.end(grace=0)
    server.wait()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, end the server as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _await_ready(server: subprocess.Popen[bytes], address: str) -> None:
    import urllib.request

    # A proxy that is meant for the internet must not be asked for this machine's own server.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MlopsError(
                f"Dagster ended with status {server.returncode} before it was ready.",
                remedy="Its log is above; check the code locations: dagster definitions validate",
            )
        with suppress(OSError), opener.open(f"{address}/server_info", timeout=5):
            return
        time.sleep(0.2)
    raise MlopsError(f"Dagster did not answer at {address} within {_READY_SECONDS} s.")


def _has_screen() -> bool:
    """Whether a browser can open here; without a screen it would take over the terminal."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
