"""What has been seen, which batch it went to, and how that ended: durable, for many processes."""

from __future__ import annotations

from mlops_dagster.landing.ledger.ledger import FrozenResults, Ledger

__all__ = ["FrozenResults", "Ledger"]
