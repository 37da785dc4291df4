"""MLflow's tracking server as jobs see it: the name of a job stands for its run.

``python -m mlops_dagster.workspace.local.tracking.server PORT``, in the folder of MLflow's store.
It is MLflow's own application behind two ASGI middlewares: one answers nobody but this machine,
the other files under its job what arrives below ``/jobs/NAME``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mlops_dagster.errors import MlopsError
from mlops_dagster.system.loopback import HOST
from mlops_dagster.workspace.local.tracking.run_ids import (
    CREATE_RUN,
    REST,
    body_of_new_run,
    body_with_ids,
    new_run,
    split_job,
    target_with_ids,
)
from mlops_dagster.workspace.local.tracking.runs import Runs
from mlops_dagster.workspace.local.tracking.store import ARTIFACT_ROOT, make_store

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_JSON_BYTES = 64 << 20
_KEEP_ALIVE_SECONDS = 60


def main(port: int) -> None:
    """Serve the store in the current folder until the process is told to end."""
    import uvicorn

    from mlops_dagster.system.own_origin import OwnOriginOnly

    runs = Runs(Path.cwd().parent)
    make_store(Path("mlflow.db"))
    app = OwnOriginOnly(JobRuns(_mlflow(), runs, f"http://{HOST}:{port}"))
    uvicorn.run(
        app,
        host=HOST,
        port=port,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )


class JobRuns:
    """ASGI middleware that puts the ids of runs in the place of the names of jobs."""

    def __init__(self, app: ASGIApp, runs: Runs, address: str) -> None:
        from anyio import CapacityLimiter

        self._app = app
        self._runs = runs
        self._address = address
        self._known = runs.by_job()
        self._lock = threading.Lock()
        # Not the threads that the application answers from: this one asks it something.
        self._limiter = CapacityLimiter(4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        job, target = split_job(_target(scope))
        try:
            run = await self._run_of_job(job) if job else None
        except MlopsError as error:
            await _refuse(send, str(error))
            return
        target = target_with_ids(target, self._known.get)
        scope = _with_target(scope, target)
        if REST.match(target) and _is_small_json(scope):
            body = body_with_ids(await _body(receive), self._known.get)
            if run and CREATE_RUN.fullmatch(target.partition("?")[0]):
                body = body_of_new_run(body, job, run)
                send = self._noting_the_run(job, send)
            scope, receive = _with_body(scope, body, receive)
        await self._app(scope, receive, send)

    async def _run_of_job(self, job: str) -> str:
        from anyio import to_thread

        if job not in self._known:
            await to_thread.run_sync(self._make_run, job, limiter=self._limiter)
        return self._known[job]

    def _make_run(self, job: str) -> None:
        with self._lock:
            self._known.update(self._runs.ensure(job, self._address))

    def _noting_the_run(self, job: str, send: Send) -> Send:
        """Remember the run that the answer names before the answer is sent."""
        from anyio import to_thread

        start: list[Message] = []
        pieces: list[bytes] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
                return
            pieces.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(pieces)
            if made := new_run(body):
                await to_thread.run_sync(self._runs.add, job, *made, limiter=self._limiter)
            await send(start[0])
            await send({"type": "http.response.body", "body": body})

        return noting


def _mlflow() -> ASGIApp:
    """MLflow's application over the store in the current folder.

    It is set up through the variables by which ``mlflow server`` sets up its workers; that command
    would be a second process, as large as the first, which does nothing but wait for it.
    """
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    from mlflow.server import constants

    # Relative to the current folder: no character of a path is special in these.
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: "sqlite:///mlflow.db",
        constants.ARTIFACT_ROOT_ENV_VAR: ARTIFACT_ROOT,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: "./artifacts",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    from mlflow.server import fastapi_app

    app: ASGIApp = fastapi_app.app
    return app


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _with_target(scope: Scope, target: str) -> Scope:
    path, _, query = target.partition("?")
    return {
        **scope,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
    }


def _is_small_json(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    is_json = b"json" in headers.get(b"content-type", b"")
    return is_json and length.isdigit() and 0 < int(length) <= _JSON_BYTES


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def _with_body(scope: Scope, body: bytes, receive: Receive) -> tuple[Scope, Receive]:
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_body() -> Message:
        return messages.pop() if messages else await receive()

    return {**scope, "headers": headers}, receive_body


async def _refuse(send: Send, message: str) -> None:
    """Answer in MLflow's terms; 501 is no status on which its clients wait and ask again."""
    body = json.dumps({"error_code": "INTERNAL_ERROR", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 501, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main(int(sys.argv[1]))
