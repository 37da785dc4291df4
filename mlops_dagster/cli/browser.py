"""Opening a page in a browser, where there is a screen to show it on."""

from __future__ import annotations

import os
import sys

from mlops_dagster.cli.output import note


def has_screen() -> bool:
    """Whether a browser that is opened here would be seen by a person."""
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in os.environ
    return "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ


def open_page(address: str | None, *, of: str) -> None:
    """Open a page and say where it is; without a screen its address is all there is to say.

    Args:
        of: what the page is about.
    """
    if address is None:
        note(f"{of} has no page yet.")
        return
    note(f"{of}: {address}")
    if has_screen():
        import webbrowser

        webbrowser.open(address)
