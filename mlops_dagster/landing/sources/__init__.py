"""Where files land: one port, an adapter for each kind of place."""

from __future__ import annotations

from mlops_dagster.landing.sources.port import FileChanged, FileGone, FileRefused, Page, Source

__all__ = ["FileChanged", "FileGone", "Page", "FileRefused", "Source"]
