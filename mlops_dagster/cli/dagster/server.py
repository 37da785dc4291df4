"""The Dagster UI and its daemon, as `mlops ui` serves them.

``python -m mlops_dagster.cli.dagster.server WORKSPACE_FILE PORT``. It does what ``dagster dev``
does: it loads the code locations once, for the web server and the daemon alike. The web server
runs in this process, behind a middleware that keeps web pages from elsewhere away from it;
Dagster's own looks neither at Host nor at Origin.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import yaml
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._utils.log import configure_loggers
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from mlops_dagster.errors import MlopsError
from mlops_dagster.home import find_home
from mlops_dagster.system.loopback import HOST
from mlops_dagster.system.own_origin import OwnOriginOnly
from mlops_dagster.system.process_tree import ProcessTree
from mlops_dagster.workspace.local.tracking import pages, served_page

_RUNS_SECONDS = 8.0
_LOG_LEVEL = "warning"


def main(workspace_file: str, port: int) -> int:
    """Serve until the process is told to end, or the daemon has ended."""
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"
    configure_loggers(log_level=_LOG_LEVEL.upper())
    with (
        DagsterInstance.get() as instance,
        _code_servers(instance, workspace_file) as target,
        _daemon(target) as daemon,
        WorkspaceProcessContext(
            instance, WorkspaceFileTarget([target]), version=__version__
        ) as context,
    ):
        dagster = create_app_from_workspace_process_context(context)
        app = Starlette(routes=[*_MLFLOW, Mount("/", dagster)])
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises the signal that ended it once more, when it has closed.
            signal.signal(number, lambda *_: None)
        uvicorn.run(
            # Dagster carries out a mutation that arrives by GET as well.
            OwnOriginOnly(app, by_post_only=["/graphql"]),
            host=HOST,
            port=port,
            log_level=_LOG_LEVEL,
            timeout_graceful_shutdown=1,
        )
        status = daemon.poll() or 0
        _await_runs(instance)
        # None of the others has anything to lose, and some take their time.
        ProcessTree(parent=os.getpid()).end(grace=0)
        return status


def _lead_to_mlflow(request: Request) -> Response:
    """Start MLflow's server where it does not run, and lead to its page."""
    try:
        return RedirectResponse(served_page(find_home(), request.path_params.get("path", "")))
    except MlopsError as error:
        return PlainTextResponse(str(error), status_code=503)


# Starlette calls them in threads of their own: the first start takes seconds.
_MLFLOW = [Route(pages.PATH, _lead_to_mlflow), Route(pages.PATH + "/{path:path}", _lead_to_mlflow)]


def _await_runs(instance: DagsterInstance) -> None:
    """Runs that are asked to end as well have some seconds to write down how they did."""
    going = RunsFilter(
        statuses=[DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    )
    deadline = time.monotonic() + _RUNS_SECONDS
    while instance.get_runs_count(going) and time.monotonic() < deadline:
        time.sleep(0.1)


@contextmanager
def _code_servers(instance: DagsterInstance, workspace_file: str) -> Iterator[str]:
    """Code servers for the locations of a workspace file, and a workspace file that names them."""
    locations = WorkspaceFileTarget([workspace_file])
    with (
        ProxyServerManager(instance, locations, code_server_log_level=_LOG_LEVEL) as servers,
        tempfile.TemporaryDirectory() as folder,
    ):
        target = Path(folder, "workspace.yaml")
        target.write_text(yaml.dump({"load_from": servers.get_code_server_specs()}))
        yield str(target)


@contextmanager
def _daemon(target: str) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's daemon, which runs schedules and sensors; without it, this process ends too."""
    daemon = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run"),
            *("--log-level", _LOG_LEVEL, "--workspace", target),
        ]
    )

    def watch() -> None:
        if daemon.wait() != 0:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    yield daemon


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
