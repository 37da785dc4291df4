"""Alerts as a person gets them, over a real webhook and a real mail server."""

from __future__ import annotations

import json
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster import load_project
from mlops_dagster.defs.alerts.sending import Alert, AlertFailed, AlertTargets, _adaptive_card
from tests.defs.deployment import wait_until
from tests.defs.dropping import PROJECT, Dropping, daemon

ALERT = Alert("tiny: run 1 failed", "no luck today", "/runs/1")


@contextmanager
def webhook(*, status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes JSON, and what it was given."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            received.append(json.loads(self.rfile.read(length)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/hooks/secret", received


@contextmanager
def mail_server() -> Iterator[tuple[str, list[str]]]:
    """A server that speaks as much SMTP as it needs, and the messages that it took."""
    received: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ready\r\n")
            for line in self.rfile:
                command = line.split()[0].upper()
                if command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        text += part
                    received.append(text.decode())
                self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
                if command == b"QUIT":
                    return

    with serving(socketserver.TCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"smtp://127.0.0.1:{port}", received


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_alert_goes_to_the_webhook_and_by_mail_with_its_page() -> None:
    with webhook() as (address, posted), mail_server() as (smtp, mails):
        link = "https://dagster.example.org"
        AlertTargets(address, ["a@example.org", "b@example.org"], smtp, link).send(ALERT)
    page = "https://dagster.example.org/runs/1"
    assert posted == [
        {
            "text": f"tiny: run 1 failed\nno luck today\n{page}",
            "title": "tiny: run 1 failed",
            "reason": "no luck today",
            "url": page,
        }
    ]
    (mail,) = mails
    assert "Subject: tiny: run 1 failed" in mail
    assert "To: a@example.org, b@example.org" in mail
    assert page in mail


def test_teams_gets_a_card() -> None:
    card: Any = _adaptive_card(ALERT, "https://dagster.example.org/runs/1")
    (attachment,) = card["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["actions"][0]["url"] == "https://dagster.example.org/runs/1"


def test_a_target_that_takes_nothing_is_named_without_its_secret() -> None:
    with webhook(status=403) as (address, _), pytest.raises(AlertFailed) as refused:
        AlertTargets(address).send(ALERT)
    assert str(refused.value) == "The webhook at 127.0.0.1 answered with status 403."
    for targets in (
        AlertTargets(address),
        AlertTargets("secret"),
        AlertTargets(email=["a@example.org"], smtp="smtps://user:secret@127.0.0.1:1"),
    ):
        with pytest.raises(AlertFailed) as unreachable:
            targets.send(ALERT)
        assert "secret" not in str(unreachable.value)
        assert unreachable.value.__cause__ is None


def test_a_location_sends_nothing_until_it_is_told_where(
    tmp_path: Path, mlops_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Dropping.make(tmp_path, mlops_home)
    file = place.folder / "definitions.py"

    def sensors() -> set[str]:
        return {each.name for each in load_project(file).sensors or ()}

    assert sensors() == {"landing_sensor"}
    monkeypatch.setenv("MLOPS_ALERT_WEBHOOK", "https://hooks.example.org/x")
    assert sensors() == {"landing_sensor", "failure_alerts", "landing_alerts"}


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_the_real_daemon_tells_of_a_failed_run_and_of_quarantine(
    tmp_path: Path, mlops_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Dropping.make(tmp_path, mlops_home, project=PROJECT)
    place.drop("a.csv", [1, "x"])
    with webhook() as (address, posted):
        monkeypatch.setenv("MLOPS_ALERT_WEBHOOK", address)
        with daemon(place):
            unseen = "dropping: the check unseen of dropping/landing/quarantine fails"
            failed = "dropping: run RUN of landing_replay failed"

            def titles() -> set[str]:
                return {re.sub("run [0-9a-f]{8}", "run RUN", each["title"]) for each in posted}

            wait_until(lambda: unseen in titles(), seconds=300)
            launch_replay_of_nothing(place)  # Dagster's storage cannot be made by two at once
            wait_until(lambda: failed in titles(), seconds=300)


def launch_replay_of_nothing(place: Dropping) -> None:
    """A run that fails, started from outside as `dagster job launch` does."""
    config = {"ops": {"offer_drop_again": {"config": {"drop": "nope"}}}}
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "launch"]
    command += ["-j", "landing_replay", "--config-json", json.dumps(config)]
    command += ["-f", str(place.folder / "definitions.py"), "-d", str(place.folder)]
    subprocess.run(command, env=place.environment, check=True)
