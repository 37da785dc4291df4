"""`mlops ui`: the real web server and daemon of a tiny code location."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import Mlops, program_path

DEFINITIONS = "import dagster as dg\ndefs = dg.Definitions(assets=[dg.AssetSpec('only')])\n"
WORKSPACE = (
    "load_from:\n  - python_file: {relative_path: tiny/definitions.py, location_name: tiny}\n"
)


@pytest.fixture
def root(here: Path) -> Path:
    (here / "tiny").mkdir()
    (here / "tiny" / "definitions.py").write_text(DEFINITIONS)
    (here / "workspace.yaml").write_text(WORKSPACE)
    return here


@pytest.fixture
def server(root: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [program_path(), "ui", "--port", str(_free_port()), "--no-open"],
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
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_the_ui_serves_the_workspace_on_loopback_and_ends_with_all_its_children(
    server: subprocess.Popen[str], mlops_home: Path, ending: signal.Signals
) -> None:
    assert server.stdout is not None
    address = server.stdout.readline().split()[2]
    assert address.startswith("http://127.0.0.1:")
    children = psutil.Process(server.pid).children(recursive=True)
    assert any("dagster._daemon" in " ".join(child.cmdline()) for child in children)
    listening = [c for child in children for c in child.net_connections() if c.status == "LISTEN"]
    assert {c.laddr.ip for c in listening if c.family == socket.AF_INET} == {"127.0.0.1"}
    answer = _ask(address, "{ workspaceOrError { ... on Workspace { locationEntries { name } } } }")
    assert answer["workspaceOrError"]["locationEntries"] == [{"name": "tiny"}]
    assert (mlops_home / "dagster" / "dagster.yaml").is_file()
    server.send_signal(ending)
    assert server.wait(90) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_a_port_in_use_is_a_wrong_request(mlops: Mlops, root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = mlops("ui", "--port", port)
    assert ran.status == 2
    assert f"Port {port} is in use" in ran.err


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(address: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{address}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)["data"]
