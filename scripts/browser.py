"""The Dagster UI and a headless Chromium to look at it with, for `make pictures` and the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from mlops_dagster.system.loopback import free_ports

PATIENCE = 90_000  # ms; the first page waits for the code location to load

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def chromium() -> str | None:
    """The Chromium or Chrome of this machine; None where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    return str(_ON_MACOS) if program is None and _ON_MACOS.exists() else program


@contextmanager
def browser_page(program: str, *, width: int = 1800, height: int = 1000) -> Iterator[Page]:
    """A page of a headless Chromium that speaks to nobody but the servers it is sent to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page
        browser.close()


@contextmanager
def served_ui(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of `mlops ui` for the workspace.yaml of a folder, on a port of its own.

    Raises RuntimeError where it does not become healthy; its log is on standard error.
    """
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [Path(sys.executable).with_name("mlops"), "ui", "--no-open", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None  # noqa: S101 - it was asked for
        # The command prints it once the server is healthy.
        line = server.stdout.readline()
        if not line:
            raise RuntimeError(f"`mlops ui` in {folder} did not start.")
        yield line.split()[2]
    finally:
        server.terminate()
        server.communicate(timeout=60)
