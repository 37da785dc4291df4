"""Names of Azure ML's assets as identifiers, which have no other characters than ``_``."""

from __future__ import annotations

import re

_OTHER = re.compile(r"[^A-Za-z0-9_]")


def identifier(name: str) -> str:
    """``name`` with ``_`` for everything but letters and digits: ``a-b`` is ``a_b``.

    Two things with the same identifier cannot both be shown by an orchestrator, which calls them
    by it.
    """
    return _OTHER.sub("_", name)
