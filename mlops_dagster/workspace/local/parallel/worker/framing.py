"""Messages between driver and worker: JSON objects, each behind its length in four bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

_LENGTH = struct.Struct(">I")
_LARGEST = 1 << 28


class BrokenFrame(Exception):
    """What came is not a message: something else wrote into the socket."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as it is sent; file names that are not UTF-8 survive."""
    body = json.dumps(message, separators=(",", ":"), default=str).encode("ascii")
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Puts messages together from whatever pieces the socket hands over."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are complete with ``data``. Raises BrokenFrame."""
        held = self._held
        held += data
        messages = []
        at = 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > _LARGEST:
                raise BrokenFrame
            end = at + _LENGTH.size + length
            if len(held) < end:
                break
            messages.append(_decode(bytes(held[at + _LENGTH.size : end])))
            at = end
        del held[:at]
        return messages


def _decode(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise BrokenFrame from error
    if not isinstance(message, dict) or "type" not in message:
        raise BrokenFrame
    return message
