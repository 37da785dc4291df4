"""An environment over another one, for a command that installs packages while it runs."""

from __future__ import annotations

import json
import os
import shlex
import site
import subprocess
import sys
from pathlib import Path

from mlops_dagster.workspace.local.software.build import Builder, interpreter_path
from mlops_dagster.workspace.local.software.interpreter import Interpreter, script

_SITES = (
    "import json, site, sys; "
    "print(json.dumps([p for p in [*site.getsitepackages(), site.getusersitepackages()] "
    "if p in sys.path]))"
)
_NO_CONDA = """\
case "$1" in
  install|create|update|env)
    echo '[mlops] conda installs nothing on this machine: a job runs in a Python without it.' >&2
    echo '[mlops] Name the packages in the conda file and run with --isolate, or use pip.' >&2
    exit 1;;
esac
PATH="${PATH#*:}"
exec "${0##*/}" "$@"
"""


def make_overlay(below: Interpreter, place: Path, builder: Builder | None = None) -> Interpreter:
    """A new environment at ``place`` that sees all that ``below`` has.

    What a command installs there with ``pip`` is found first and changes nothing underneath.
    """
    builder = builder or Builder()
    sites = _sites(below.python)
    has_pip = any((Path(folder) / "pip" / "__init__.py").is_file() for folder in sites)
    builder.uv("venv", "--quiet", "--no-project", "--python", str(below.python), str(place))
    python = interpreter_path(place)
    own = next(place.glob("lib/python*/site-packages"), place / "Lib" / "site-packages")
    # As `site` itself does it, so that what a .pth file adds underneath is there as well.
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in sites]
    (own / "_underneath.pth").write_text("".join(lines), encoding="utf-8")
    bin_ = python.parent
    if has_pip:
        for name in ("pip", "pip3"):
            script(bin_ / name, f'exec {shlex.quote(str(python))} -m pip "$@"')
    else:
        builder.uv("pip", "install", "--quiet", "--python", str(python), "pip")
    for name in ("conda", "mamba", "micromamba"):
        script(bin_ / name, _NO_CONDA)
    variables = {
        **below.variables,
        "VIRTUAL_ENV": str(place),
        # `uv pip install --system` would look for another Python.
        "UV_PYTHON": str(python),
        # Programs underneath bring their own interpreter, and are to see what is installed here.
        "PYTHONPATH": os.pathsep.join(
            (str(own), *filter(None, [None if below.apart else os.environ.get("PYTHONPATH")]))
        ),
    }
    return Interpreter(python, (bin_, *below.folders), variables, below.apart)


def _sites(interpreter: Path) -> list[str]:
    """The folders in which an interpreter looks for installed packages."""
    if interpreter == Path(sys.executable):
        places = [*site.getsitepackages(), site.getusersitepackages()]
        return [place for place in places if place in sys.path]
    command = [str(interpreter), "-c", _SITES]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: list[str] = json.loads(ran.stdout)
    return found
