"""The log of a job: what its processes write, as it is, and reading it while it grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

NOTE = b"[mlops] "
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 16


def log_file(home: Path, job: str) -> Path:
    """Where a job's standard output and error go, both, in order (Azure ML's own file name)."""
    return home / "jobs" / job / "logs" / "user_logs" / "std_log.txt"


def open_log(home: Path, job: str) -> int:
    """A file descriptor that appends to a job's log."""
    file = log_file(home, job)
    file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def note(home: Path, job: str, text: str) -> None:
    """Add a line of the workspace's own to a job's log, on a line of its own."""
    file = log_file(home, job)
    descriptor = open_log(home, job)
    try:
        fresh = _ends_line(file)
        os.write(
            descriptor, (b"" if fresh else b"\n") + NOTE + text.encode(errors="replace") + b"\n"
        )
    finally:
        os.close(descriptor)


def append(home: Path, job: str, text: str) -> None:
    """Add text, with a line end, to a job's log as it is."""
    descriptor = open_log(home, job)
    try:
        os.write(descriptor, text.encode(errors="replace") + b"\n")
    finally:
        os.close(descriptor)


def write_problem(home: Path, job: str) -> str | None:
    """Why nothing more can be written where a job's log lies; None where it can."""
    probe = log_file(home, job).with_name(".probe")
    try:
        with probe.open("wb", buffering=0) as file:
            file.write(bytes(4096))
        probe.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return None


def tail(file: Path, lines: int) -> str:
    """The last lines of a file of any size; empty where there is none."""
    if lines <= 0:
        return ""
    try:
        with file.open("rb") as stream:
            position = stream.seek(0, os.SEEK_END)
            content = b""
            while position and content.count(b"\n") <= lines and len(content) < 256 * _CHUNK:
                step = min(_CHUNK, position)
                position -= step
                stream.seek(position)
                content = stream.read(step) + content
    except FileNotFoundError:
        return ""
    kept = content.removesuffix(b"\n").split(b"\n")[-lines:]
    return "\n".join(_text(line) for line in kept)


class Follower:
    """Reads a file's lines as they come, a bounded piece at a time.

    A line longer than 64 KiB comes in pieces, so that no content fills the memory.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._rest = b""

    def lines(self, *, final: bool = False) -> Iterator[str]:
        """The lines that have come since; with ``final`` an unfinished last one as well."""
        while chunk := self._read():
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            for line in whole:
                yield _text(line)
            if len(self._rest) > _LONGEST_LINE:
                yield _text(self._rest)
                self._rest = b""
        if final and self._rest:
            yield _text(self._rest)
            self._rest = b""

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> bytes:
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
        return os.read(self._descriptor, _CHUNK)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


def _ends_line(file: Path) -> bool:
    with file.open("rb") as stream:
        if not stream.seek(0, os.SEEK_END):
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
