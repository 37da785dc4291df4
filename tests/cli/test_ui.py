"""`mlops ui`: the real web server and daemon of a tiny code location."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from mlops_dagster.system.loopback import free_ports
from mlops_dagster.workspace.local import tracking

from .conftest import Mlops, program_path

DEFINITIONS = "import dagster as dg\ndefs = dg.Definitions(assets=[dg.AssetSpec('only')])\n"
WORKSPACE = (
    "load_from:\n  - python_file: {relative_path: tiny/definitions.py, location_name: tiny}\n"
)

LOGGING = """
type: command
environment: {image: 'python:3.11'}
command: python -c "import mlflow; mlflow.log_metric('loss', 1.0)"
"""


@pytest.fixture
def root(here: Path) -> Path:
    (here / "tiny").mkdir()
    (here / "tiny" / "definitions.py").write_text(DEFINITIONS)
    (here / "workspace.yaml").write_text(WORKSPACE)
    return here


@pytest.fixture
def server(root: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """The command; its parameter names a signal that it finds ignored, as a script's `&` does."""
    ignored = f"trap '' {request.param}; " if getattr(request, "param", "") else ""
    (port,) = free_ports(1)
    command = [str(program_path()), "ui", "--port", str(port), "--no-open"]
    process = subprocess.Popen(
        ["sh", "-c", f'{ignored}exec "$@"', "sh", *command],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=root / "tiny",
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=90)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "ending"),
    [("", signal.SIGINT), ("INT", signal.SIGTERM), ("", signal.SIGKILL)],
    indirect=["server"],
    ids=["SIGINT", "SIGTERM where SIGINT is ignored", "SIGKILL"],
)
def test_the_ui_serves_the_workspace_on_loopback_and_ends_with_all_its_children(
    server: subprocess.Popen[str], mlops_home: Path, ending: signal.Signals
) -> None:
    address = address_of(server)
    assert address.startswith("http://127.0.0.1:")
    children = psutil.Process(server.pid).children(recursive=True)
    assert any("dagster._daemon" in " ".join(child.cmdline()) for child in children)
    listening = [c for child in children for c in child.net_connections() if c.status == "LISTEN"]
    assert {c.laddr.ip for c in listening if c.family == socket.AF_INET} == {"127.0.0.1"}
    answer = _ask(address, "{ workspaceOrError { ... on Workspace { locationEntries { name } } } }")
    assert answer["workspaceOrError"]["locationEntries"] == [{"name": "tiny"}]
    assert (mlops_home / "dagster" / "dagster.yaml").is_file()
    server.send_signal(ending)
    assert server.wait(90) == (-signal.SIGKILL if ending is signal.SIGKILL else 0)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_no_page_from_elsewhere_reaches_the_ui(server: subprocess.Popen[str]) -> None:
    address = address_of(server)
    foreign = {"Origin": "http://evil.example"}
    launch = json.dumps({"query": 'mutation { freeConcurrencySlots(runId: "x") }'}).encode()
    as_json = {"Content-Type": "application/json"}
    by_get = f"{address}/graphql?query=%7Bversion%7D"
    assert _status(f"{address}/server_info", {}) == 200
    assert _status(f"{address}/server_info", {"Host": "evil.example"}) == 403
    assert _status(f"{address}/graphql", {**as_json, **foreign}, launch) == 403
    assert _status(f"{address}/graphql", {**as_json, "Host": "evil.example"}, launch) == 403
    assert _status(by_get, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}) == 403
    assert _status(by_get, {}) == 405
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "graphql-ws",
    }
    assert _status(f"{address}/graphql", {**handshake, **foreign}) == 403
    assert _status(f"{address}/graphql", {**handshake, "Origin": address}) == 101


@pytest.mark.slow
def test_the_page_of_a_job_in_mlflow_stays_and_starts_its_server(
    server: subprocess.Popen[str], program: Mlops, root: Path, mlops_home: Path
) -> None:
    address = address_of(server)
    (root / "job.yml").write_text(LOGGING)
    assert program("job", "run", "-f", "job.yml", "--name", "logs").status == 0
    page = program(
        "job", "show", "-n", "logs", "--query", "services.Tracking.endpoint", "-o", "tsv"
    )
    assert page.out.startswith(f"{address}/mlflow/experiments/")
    assert tracking.stop(mlops_home)
    status, target = _answer(page.out.strip(), {})
    assert status == 307
    own = tracking.running(mlops_home)
    place = page.out.strip().removeprefix(f"{address}/mlflow/")
    assert target == f"{own}/#/{place}?workflowType=machine_learning"
    assert program("mlflow", "logs", "--no-open").out == f"MLflow: {target}\n"
    assert (
        _answer(f"{address}/mlflow/../x", {})[1]
        == f"{own}/#/experiments?workflowType=machine_learning"
    )
    program("stop")


@pytest.mark.slow
def test_a_ui_that_runs_is_found_again_and_stopped(
    server: subprocess.Popen[str], program: Mlops, root: Path
) -> None:
    address = address_of(server)
    again = program("ui", "--no-open")
    assert (again.status, again.out) == (0, f"Dagster UI: {address}  (it runs already)\n")
    stopped = program("stop")
    assert (stopped.status, "Ended: ui." in stopped.err) == (0, True)
    assert server.wait(30) == 0
    assert "Nothing ran in the background" in program("stop").err


def test_a_port_in_use_is_a_wrong_request(mlops: Mlops, root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = mlops("ui", "--port", port)
    assert ran.status == 2
    assert f"Port {port} is in use" in ran.err


def address_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().split()[2]


def _status(address: str, headers: dict[str, str], body: bytes | None = None) -> int:
    return _answer(address, headers, body)[0]


def _answer(
    address: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, str | None]:
    """The status of an answer, and where it leads."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.netloc, timeout=120)
    try:
        target = f"{parts.path}?{parts.query}"
        connection.request("GET" if body is None else "POST", target, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location")
    finally:
        connection.close()


def _ask(address: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{address}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)["data"]
