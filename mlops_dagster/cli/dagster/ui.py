"""`mlops ui` and `mlops stop`: what runs beside the jobs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from mlops_dagster.cli.browser import has_screen
from mlops_dagster.cli.dagster.instance import find_place
from mlops_dagster.cli.output import note
from mlops_dagster.cli.session import session
from mlops_dagster.errors import InvalidRequest, MlopsError
from mlops_dagster.home import find_home
from mlops_dagster.system import services
from mlops_dagster.system.loopback import first_free

_START_SECONDS = 180.0
_GRACE_SECONDS = 10.0


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
    from mlops_dagster.workspace.local.tracking.pages import UI_SERVICE

    place = find_place()
    folder = services.folder_of(place.home, UI_SERVICE)
    if (running := services.find(folder)) is not None and port in (None, running.ports["http"]):
        _show(running.address, "it runs already", open_browser=open_browser)
        return
    service = services.Service(
        name="Dagster UI",
        folder=folder,
        command=(
            *(sys.executable, "-W", "ignore", "-m", "mlops_dagster.cli.dagster.server"),
            *(str(place.workspace_file), "{http}"),
        ),
        ports={"http": _free_port(port)},
        health={"http": "/server_info"},
        working=place.root,
        environment=place.environment(),
        log_to_file=False,
        start_seconds=_START_SECONDS,
        grace_seconds=_GRACE_SECONDS,
    )
    note(f"Starting Dagster on {place.dagster_home} ...")
    with _terminated_as_interrupted(), services.serving(service) as server:
        try:
            _show(server.address, "Ctrl-C ends it", open_browser=open_browser)
            if (status := server.wait()) != 0:
                raise MlopsError(f"Dagster ended with status {status}.", remedy="Its log is above.")
        except KeyboardInterrupt:
            note("Ending Dagster ...")


def stop(context: typer.Context) -> None:
    """End the servers in the background: MLflow's, the Dagster UI, emulators. Jobs go on.

    The tracking server starts again by itself when a job needs it.
    """
    ended = services.stop_all(find_home())
    with session(context).open() as workspace:
        workspace.stop_services()
    note(f"Ended: {', '.join(ended)}." if ended else "Nothing ran in the background.")
    note("Jobs go on; see them: mlops job list")


def _show(address: str, remark: str, *, open_browser: bool) -> None:
    print(f"Dagster UI: {address}  ({remark})", flush=True)
    if open_browser and has_screen():
        import webbrowser

        webbrowser.open(address)


def _free_port(wanted: int | None) -> int:
    from mlops_dagster.workspace.local.tracking.pages import UI_PORT

    candidates = [wanted] if wanted is not None else range(UI_PORT, UI_PORT + 100)
    if (port := first_free(candidates)) is not None:
        return port
    taken = f"Port {wanted}" if wanted is not None else "Every port from 3000 to 3099"
    raise InvalidRequest(f"{taken} is in use.", remedy="Choose another one with --port.")


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
