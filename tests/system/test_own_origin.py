"""What a browser may ask of a server on this machine: its own pages all, others nothing."""

from __future__ import annotations

import pytest

from mlops_dagster.system.own_origin import refusal

HOST = {"host": "127.0.0.1:3000"}
OWN = {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", HOST),
        ("POST", HOST | OWN),
        ("GET", HOST | {"sec-fetch-site": "none"}),
        ("GET", HOST | LINK),
        ("POST", {"host": "localhost:3000", "origin": "http://localhost:3000"}),
        ("POST", {"host": "[::1]:3000", "origin": "http://[::1]:3000"}),
        ("GET", {"host": "LOCALHOST"}),
    ],
)
def test_programs_own_pages_and_followed_links_are_answered(
    method: str, headers: dict[str, str]
) -> None:
    assert refusal(headers, method) is None


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"host": "evil.example"}),
        ("GET", {"host": "127.0.0.1.evil.example:3000"}),
        ("GET", {"host": "evil.example#127.0.0.1"}),
        ("GET", {"host": "[127.0.0.1"}),
        ("GET", HOST | {"origin": "http://evil.example"}),
        ("POST", HOST | {"origin": "null"}),
        ("POST", HOST | {"origin": "http://127.0.0.1:8888"}),
        ("POST", HOST | {"origin": "http://localhost:3000"}),
        ("POST", HOST | {"origin": "https://127.0.0.1:3000"}),
        ("GET", HOST | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}),
        ("GET", HOST | {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}),
        ("GET", HOST | LINK | {"sec-fetch-dest": "iframe"}),
        ("POST", HOST | LINK),
    ],
)
def test_pages_of_another_origin_are_refused(method: str, headers: dict[str, str]) -> None:
    assert refusal(headers, method) is not None
