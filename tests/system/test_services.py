"""A background server is started once, found again, and ended with all that it has started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable
from mlops_dagster.system import services
from mlops_dagster.system.services import Service

# Serves "OK", and starts a child that ignores SIGTERM and SIGINT.
SERVER = """
import http.server, pathlib, signal, subprocess, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"OK")

child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
pids = [str(subprocess.Popen([sys.executable, "-c", child]).pid)]
pathlib.Path("pids").open("a").write(" ".join(pids) + "\\n")
print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# Serves until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from mlops_dagster.system.services import serving
from tests.system.test_services import service
with serving(service(Path(sys.argv[1]))) as served:
    print(served.address, flush=True)
    time.sleep(600)
"""


def service(folder: Path, script: str = SERVER, *, idle_seconds: float | None = None) -> Service:
    folder.mkdir(exist_ok=True)
    return Service(
        name="test server",
        folder=services.folder_of(folder, "test"),
        command=[sys.executable, "-c", script, "{http}"],
        ports={"http": 0},
        health={"http": "/"},
        working=folder,
        environment=os.environ,
        idle_seconds=idle_seconds,
        grace_seconds=0.2,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    services.stop_all(home)


def children(folder: Path) -> list[int]:
    """The children of every server that was started in this folder."""
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answer(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as response:
        return bytes(response.read())


def test_of_many_starters_one_starts_it_and_all_find_it(folder: Path) -> None:
    one = service(folder)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: services.start(one), range(8)))
    assert len({running.address for running in found}) == 1
    assert answer(found[0].address) == b"OK"
    assert len(children(folder)) == 1
    assert services.find(one.folder) == found[0]


def test_it_ends_with_all_that_it_has_started_and_comes_back_on_its_port(folder: Path) -> None:
    one = service(folder)
    first = services.start(one)
    assert services.stop_all(folder) == ["test"]
    assert services.find(one.folder) is None
    assert not any(runs(pid) for pid in children(folder))
    assert services.stop_all(folder) == []
    assert services.start(one) == first


def test_it_outlives_its_starter_and_what_it_was_told_is_not_written_down(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mlops_dagster.system import services;"
        "from tests.system.test_services import service;"
        "services.start(service(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(folder)]
    subprocess.run(command, env={**os.environ, "SECRET": "s3cret"}, check=True)
    one = service(folder)
    assert services.find(one.folder) is not None
    for file in one.folder.iterdir():
        assert "s3cret" not in file.read_text()


@pytest.mark.parametrize("killed", ["supervisor", "server", "both"])
def test_what_a_kill_left_behind_is_ended_by_the_next_start(folder: Path, killed: str) -> None:
    one = service(folder)
    first = services.start(one)
    state = services.read_state(one.folder)
    for name in ("supervisor", "server") if killed == "both" else (killed,):
        identity = getattr(state, name)
        os.kill(identity[0], signal.SIGKILL)
        until(lambda pid=identity[0]: not runs(pid))  # type: ignore[misc] # its default is enough
    if killed == "supervisor":
        assert services.stop(one.folder)
    second = services.start(one)
    assert (second.ports, len(children(folder))) == (first.ports, 2)
    assert [runs(pid) for pid in children(folder)] == [False, True]


def test_one_that_writes_nothing_for_some_time_ends(folder: Path) -> None:
    one = service(folder, idle_seconds=0.5)
    services.start(one)
    until(lambda: services.find(one.folder) is None)
    until(lambda: not any(runs(pid) for pid in children(folder)))


def test_one_whose_folder_is_removed_ends(folder: Path) -> None:
    one = service(folder)
    services.start(one)
    (one.folder / "server.log").unlink()
    until(lambda: services.find(one.folder) is None)


def test_one_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(WorkspaceUnavailable, match="test server did not start: no luck"):
        services.start(service(folder, "import sys; sys.exit('no luck')"))
    with (
        pytest.raises(WorkspaceUnavailable, match="no luck"),
        services.serving(service(folder, "import sys; sys.exit('no luck')")),
    ):
        pass


def test_one_whose_folder_cannot_be_used_is_unavailable(folder: Path) -> None:
    one = service(folder)
    (folder / "services").write_text("in the way")
    with pytest.raises(WorkspaceUnavailable, match="services"):
        services.start(one)


def test_a_program_that_is_not_there_is_said(folder: Path) -> None:
    one = replace(service(folder), command=["/no/such/program"])
    with pytest.raises(WorkspaceUnavailable, match="test server did not start"):
        services.start(one)


def test_one_that_is_served_ends_with_the_context_and_is_served_once(folder: Path) -> None:
    one = service(folder)
    with services.serving(one) as served:
        assert answer(served.address) == b"OK"
        with pytest.raises(InvalidRequest, match="runs already"), services.serving(one):
            pass
        assert served.status() is None
    assert served.status() == 0
    assert not any(runs(pid) for pid in children(folder))


def test_a_served_one_that_ends_by_itself_has_its_own_status(folder: Path) -> None:
    script = SERVER.replace(
        "http.server.Threading",
        "import threading; threading.Timer(1, lambda: __import__('os')._exit(3)).start()\nhttp.server.Threading",
    )
    with services.serving(service(folder, script)) as served:
        assert served.wait() == 3


@pytest.mark.parametrize("ignored", [False, True], ids=["", "SIGINT ignored"])
def test_a_served_one_ends_when_its_process_is_killed(folder: Path, ignored: bool) -> None:
    shell = """trap '' INT TERM; exec "$@" """ if ignored else 'exec "$@"'
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert answer(holder.stdout.readline().strip()) == b"OK"
        holder.kill()
    one = service(folder)
    until(lambda: services.find(one.folder) is None)
    until(lambda: not any(runs(pid) for pid in children(folder)))


def test_a_state_that_is_damaged_is_no_state(folder: Path) -> None:
    one = service(folder)
    one.folder.mkdir(parents=True)
    for content in ("", "[]", "{}", json.dumps({"ports": [], "server": 3})):
        (one.folder / "server.json").write_text(content)
        assert services.find(one.folder) is None
