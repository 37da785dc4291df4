"""What has been seen, which batch it went to, and how that ended: durable, for many processes."""

from __future__ import annotations

from mlops_dagster.landing.ledger.ledger import Frozen, Ledger
from mlops_dagster.landing.ledger.objects import BlobStore, FolderStore, ObjectStore

__all__ = ["BlobStore", "FolderStore", "Frozen", "Ledger", "ObjectStore"]
