"""Where files land: one port, an adapter for each kind of place."""

from __future__ import annotations

from mlops_dagster.landing.sources.port import Changed, Gone, Page, Refused, Source

__all__ = ["Changed", "Gone", "Page", "Refused", "Source"]
