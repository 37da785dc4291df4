"""Servers of this machine answer its programs and their own pages, and no page from elsewhere.

A browser lets any web page send requests to 127.0.0.1, and a name server can make a page's own
name lead there (DNS rebinding). A server without a password must therefore look at what a browser
says of where a request comes from: ``Host``, ``Origin`` (RFC 6454) and the fetch metadata
(w3.org/TR/fetch-metadata).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class OwnOriginOnly:
    """ASGI middleware that refuses requests, and WebSockets, which another origin's page caused.

    A link to a page of the server can be followed from anywhere.

    Args:
        by_post_only: paths that can change something also by GET, where a query is refused.
    """

    def __init__(self, app: ASGIApp, *, by_post_only: Collection[str] = ()) -> None:
        self._app = app
        self._by_post_only = frozenset(by_post_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        method = scope.get("method", "GET")
        if (reason := refusal(headers, method)) is not None:
            await _refuse(scope, send, 403, reason)
        elif method == "GET" and scope["path"] in self._by_post_only and scope["query_string"]:
            await _refuse(scope, send, 405, "Send this request by POST.")
        else:
            await self._app(scope, receive, send)


def refusal(headers: dict[str, str], method: str) -> str | None:
    """Why a request is not answered; None where it is.

    Args:
        headers: by their names in lower case.
    """
    host = headers.get("host", "")
    if _name(f"//{host}") not in _LOOPBACK:
        return f"This server is reached as 127.0.0.1 or localhost, not as {host!r}."
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return f"A page of {origin} may not use this server."
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and not _follows_a_link(headers, method):
        return "A page of another origin may not use this server."
    return None


def _follows_a_link(headers: dict[str, str], method: str) -> bool:
    shows_a_page = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return method == "GET" and shows_a_page == ("navigate", "document")


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    body = f"{reason}\n".encode("ascii", "backslashreplace")
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
