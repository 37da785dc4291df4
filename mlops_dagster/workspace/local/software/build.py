"""Virtual environments for jobs, built by uv and kept by content."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import MlopsError, Unsupported
from mlops_dagster.system.files import mark_used
from mlops_dagster.workspace.local.ground.addresses import SUBSTITUTIONS
from mlops_dagster.workspace.local.software.software import Software

READY = ".ready"
# MLflow is what a job talks to the workspace with; Azure ML's own images bring it as well.
_ALWAYS = ("mlflow-skinny",)
_LAST_LINES = 12
_PAUSE = 0.1


class Builder:
    """How uv is run: here by itself; a job's own builder lets the job be canceled meanwhile."""

    def uv(self, *arguments: str) -> None:
        """Run uv. Raises MlopsError with the last that it said."""
        ran = subprocess.run(
            [uv_program(), *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if ran.returncode != 0:
            raise build_error(arguments, ran.stderr)

    def begin(self, what: str) -> None:
        """Called before something is built that was not there."""

    def pause(self) -> None:
        """Called again and again while another process builds the same."""
        time.sleep(_PAUSE)


def build_environment(software: Software, home: Path, builder: Builder | None = None) -> Path:
    """The interpreter of a virtual environment that has just what ``software`` asks for.

    Built once a content below ``home/environments`` and found again without a network; built anew
    where the state folder was moved, since it holds its own path, or its Python is gone.

    Raises:
        Unsupported: it asks for conda packages that PyPI does not have.
        MlopsError: it could not be built; the message ends with what uv said.
    """
    refuse_unavailable(software)
    builder = builder or Builder()
    python = software.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = {"python": python, "requirements": sorted(software.requirements)}
    digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]
    place = home / "environments" / digest
    if not _is_ready(place):
        with _build_lock(place, builder.pause):
            if not _is_ready(place):
                count = len(software.requirements)
                builder.begin(f"Python {python}, {count} package{'' if count == 1 else 's'}")
                _build(place, python, software.requirements, builder)
    mark_used(place / READY)
    return interpreter_path(place)


def refuse_unavailable(software: Software, field: str = "") -> None:
    """Raise Unsupported for conda packages that PyPI does not have.

    Args:
        field: where the environment stands, such as ``jobs.train.environment``.
    """
    if software.unavailable:
        where = f" (in {field})" if field else ""
        raise Unsupported(
            f"These conda packages are not on PyPI: {', '.join(software.unavailable)}{where}.",
            remedy="Run the job in an interpreter that has them (without isolation), or name a "
            f"substitute under `environments:` in .mlops/{SUBSTITUTIONS}.",
        )


def uv_program() -> str:
    """The uv that was installed with this package."""
    from uv import find_uv_bin

    return find_uv_bin()


def build_error(arguments: Sequence[str], said: str) -> MlopsError:
    """That uv could not do something, with the last that it said."""
    lines = "\n".join(said.strip().splitlines()[-_LAST_LINES:])
    what = " ".join(word for word in arguments[:2] if not word.startswith("-"))
    return MlopsError(
        f"The job's environment could not be built: uv {what} said\n{lines}",
        remedy="Mend the conda file, or run without isolation in the interpreter at hand.",
    )


def _build(place: Path, python: str, requirements: Sequence[str], builder: Builder) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        builder.uv(
            "venv", "--quiet", "--no-project", "--allow-existing",
            "--python", python, str(place),
        )  # fmt: skip
        lines = place / "requirements.txt"
        lines.touch(mode=0o600)  # an index's address may hold a password
        lines.write_text("".join(f"{line}\n" for line in (*requirements, *_ALWAYS)))
        builder.uv(
            "pip", "install", "--quiet", "--compile-bytecode",
            "--python", str(interpreter_path(place)), "--requirement", str(lines),
        )  # fmt: skip
        # As every conda environment has it; few jobs use it, so that it is not compiled.
        builder.uv("pip", "install", "--quiet", "--python", str(interpreter_path(place)), "pip")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    (place / READY).write_bytes(os.fsencode(place.resolve()))


def _is_ready(place: Path) -> bool:
    ready = place / READY
    if not ready.exists() or not interpreter_path(place).exists():
        return False
    built_at = ready.read_bytes()  # empty where an earlier version built it
    return built_at in (b"", os.fsencode(place.resolve()))


def interpreter_path(place: Path) -> Path:
    """The program of the virtual environment at ``place``."""
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@contextmanager
def _build_lock(place: Path, pause: Callable[[], None]) -> Iterator[None]:
    """One process builds; the others wait for it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pause()
        yield
