"""The life of a worker process: import the entry script, ``init()``, then mini batch after mini batch.

Whatever the script raises, prints or closes, what the driver hears goes through the socket alone.
"""

from __future__ import annotations

import faulthandler
import inspect
import logging
import os
import socket
import sys
import time
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, NoReturn, cast  # noqa: UP035 - Python 3.8

from .framing import Decoder, encode
from .rows import Spool

_LONGEST_TRACE = 20_000
_LONGEST_ERROR = 1_000

_connected: _Driver | None = None


def main(descriptor: int) -> None:
    """Serve the driver at the other end of ``descriptor`` until it says so or is gone."""
    os.set_inheritable(descriptor, False)
    driver = _Driver(socket.socket(fileno=descriptor))
    setup = driver.receive()
    _prepare(setup)
    try:
        script = _load(setup["script"])
        _call(script, "init")
        worker = _Worker(driver, script, Spool(setup["spool"]))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the driver has to hear of it
        driver.send({"type": "unfit", **_error_fields(error)})
        _leave(1)
    driver.send({"type": "ready"})
    # The end of the connection tells the end of the process: it outlives all but the interpreter.
    global _connected  # noqa: PLW0603
    _connected = driver
    worker.serve()


class _Driver:
    """The socket to the driver. A driver that is gone ends the process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._decoder = Decoder()
        self._waiting: list[dict[str, Any]] = []

    def receive(self) -> dict[str, Any]:
        while not self._waiting:
            data = self._connection.recv(1 << 16)
            if not data:
                _leave(1)
            self._waiting = self._decoder.feed(data)
        return self._waiting.pop(0)

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._connection.sendall(encode(message))
        except OSError:
            _leave(1)


class _Worker:
    def __init__(self, driver: _Driver, script: ModuleType, spool: Spool) -> None:
        self._driver = driver
        self._script = script
        self._spool = spool
        self._process = os.getpid()
        self._run = _run_function(script)
        self._wants_context = _positional(self._run) > 1

    def serve(self) -> None:
        while True:
            message = self._driver.receive()
            if message["type"] == "end":
                self._driver.send({"type": "ended", **self._shutdown()})
                return
            self._driver.send(self._result(message))
            _flush()

    def _shutdown(self) -> dict[str, Any]:
        try:
            _call(self._script, "shutdown")
        except BaseException as error:  # noqa: BLE001 - an error in shutdown() is reported, not raised
            return _error_fields(error)
        return {}

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"batch": message["batch"], "total": None}
        started, cpu = time.monotonic(), time.process_time()
        running = None
        try:
            mini_batch, total = _loaded(message)
            answer["total"] = total
            self._driver.send({"type": "running", "batch": message["batch"]})
            running = time.monotonic()
            # A slice of a table may hold no whole row.
            result = self._called(mini_batch, message) if total else []
            answer["run_seconds"] = time.monotonic() - running
            answer["returned"], answer["offset"], answer["length"] = self._spool.keep(result)
            answer["type"] = "done"
        except BaseException as error:  # noqa: BLE001 - SystemExit in a script must not end a worker
            if os.getpid() != self._process:
                _leave(1)
            answer.update(
                type="failed", stage="load" if running is None else "run", **_error_fields(error)
            )
        answer["seconds"] = time.monotonic() - started
        answer["cpu_seconds"] = time.process_time() - cpu
        return answer

    def _called(self, mini_batch: Any, message: dict[str, Any]) -> Any:
        if self._wants_context:
            context = SimpleNamespace(
                minibatch_index=message["batch"],
                partition_key_value=message.get("partition"),
            )
            result = self._run(mini_batch, context)
        else:
            result = self._run(mini_batch)
        # A script that forked and came back here as the child must not answer a second time.
        if os.getpid() != self._process:
            _leave(0)
        return result


def _prepare(setup: dict[str, Any]) -> None:
    faulthandler.enable()
    sys.path[:0] = list(dict.fromkeys([os.path.dirname(setup["script"]), setup["code"]]))  # noqa: PTH120
    sys.path.append(setup["shim"])
    sys.argv = [setup["script"], *setup["arguments"]]
    # Azure ML sends the root logger's messages to the worker's stdout, at logging's own level.
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _load(path: str) -> ModuleType:
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    # Known by its name, so that what it defines can be pickled for its own child processes.
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run_function(script: ModuleType) -> Callable[..., Any]:
    function = getattr(script, "run", None)
    if function is None or not callable(function):
        raise AttributeError(f"{script.__file__} has no function run(mini_batch)")
    return cast("Callable[..., Any]", function)


def _call(script: ModuleType, name: str) -> None:
    function = getattr(script, name, None)
    if callable(function):
        function()


def _positional(function: Any) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )


def _loaded(message: dict[str, Any]) -> tuple[Any, int]:
    if "files" in message:
        return message["files"], len(message["files"])
    from .tables import load

    frame = load(message["table"])
    return frame, len(frame)


def _error_fields(error: BaseException) -> dict[str, Any]:
    """An error for the driver; ``fresh`` where this process had better not go on."""
    text: str | None = None
    try:
        text = str(error)
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException:  # noqa: BLE001 - an exception may fail to describe itself
        trace = "".join(traceback.format_tb(error.__traceback__))
    lines = (text or "").strip().splitlines()
    return {
        "error": (type(error).__name__ + (f": {lines[0]}" if lines else ""))[:_LONGEST_ERROR],
        "category": type(error).__name__,
        "trace": trace if len(trace) <= _LONGEST_TRACE else "...\n" + trace[-_LONGEST_TRACE:],
        "fresh": not isinstance(error, Exception) or isinstance(error, (MemoryError, OSError)),
    }


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue


def _leave(status: int) -> NoReturn:
    _flush()
    os._exit(status)
