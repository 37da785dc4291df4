"""Names and versions of Azure ML's assets, and names as identifiers."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
NAME_REMEDY = "Write 1 to 255 letters, digits, '-' and '_', a letter or digit first."
VERSION_REMEDY = "Write a number, or letters, digits, '.', '-' and '_'."
_OTHER = re.compile(r"[^A-Za-z0-9_]")


def is_asset_name(name: str) -> bool:
    """Whether Azure ML takes it as the name of data, a model or another asset."""
    return _NAME.fullmatch(name) is not None


def is_asset_version(version: str) -> bool:
    """Whether Azure ML takes it as the version of an asset."""
    return _VERSION.fullmatch(version) is not None


def identifier(name: str) -> str:
    """``name`` with ``_`` for everything but letters and digits: ``a-b`` is ``a_b``.

    Two things with the same identifier cannot both be shown by an orchestrator, which calls them
    by it.
    """
    return _OTHER.sub("_", name)
