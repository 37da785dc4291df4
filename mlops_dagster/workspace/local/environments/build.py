"""Virtual environments for jobs, built by uv and kept by content."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import MlopsError, Unsupported
from mlops_dagster.workspace.local.environments.software import Software

_READY = ".ready"
# MLflow is what a job talks to the workspace with; Azure ML's own images bring it as well.
_ALWAYS = ("mlflow-skinny",)


def isolated(software: Software, home: Path) -> Path:
    """The interpreter of a virtual environment that has just what ``software`` asks for.

    Built once a content below ``home/environments`` and found again without a network.

    Raises:
        Unsupported: it asks for conda packages that PyPI does not have.
        MlopsError: it could not be built; the message ends with what uv said.
    """
    if software.unavailable:
        raise Unsupported(
            f"These conda packages are not on PyPI: {', '.join(software.unavailable)}.",
            remedy="Run the job in an interpreter that has them (without isolation), or name a "
            "substitute under `environments:` in .mlops/substitutions.yml.",
        )
    python = software.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = {"python": python, "requirements": sorted(software.requirements)}
    digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]
    place = home / "environments" / digest
    with _locked(place):
        if not (place / _READY).exists():
            _build(place, python, software.requirements)
    return _interpreter(place)


def overlay(interpreter: Path, place: Path) -> Path:
    """A new environment at ``place`` that sees all that ``interpreter`` has; returns its own.

    What a command installs there with ``pip`` is found first and changes nothing underneath.
    """
    _uv("venv", "--quiet", "--python", str(interpreter), "--seed", str(place))
    below = _site_packages(interpreter)
    own = next(place.glob("lib/python*/site-packages"), place / "Lib" / "site-packages")
    (own / "_underneath.pth").write_text(f"{below}\n", encoding="utf-8")
    return _interpreter(place)


def _build(place: Path, python: str, requirements: Sequence[str]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        _uv("venv", "--quiet", "--allow-existing", "--python", python, str(place))
        lines = place / "requirements.txt"
        lines.write_text("".join(f"{line}\n" for line in (*requirements, *_ALWAYS)))
        _uv(
            "pip", "install", "--quiet", "--compile-bytecode",
            "--python", str(_interpreter(place)), "--requirement", str(lines),
        )  # fmt: skip
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    (place / _READY).touch()


def _uv(*arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "uv", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if ran.returncode != 0:
        said = "\n".join(ran.stderr.strip().splitlines()[-12:])
        raise MlopsError(
            f"The job's environment could not be built: uv {arguments[0]} said\n{said}",
            remedy="Mend the conda file, or run without isolation in the interpreter at hand.",
        )


def _interpreter(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _site_packages(interpreter: Path) -> str:
    if interpreter == Path(sys.executable):
        return sysconfig.get_path("purelib")
    command = [str(interpreter), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One process builds; the others wait for it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
