"""What a plan is made with when nothing is to be started: it looks, and copies nothing."""

from __future__ import annotations

from pathlib import Path

from mlops_dagster.workspace.local.storage.snapshots import Snapshots
from mlops_dagster.workspace.local.storage.storage import Resolved, Storage


class DryRunStorage(Storage):
    """A storage that neither uploads nor downloads: a path or address stands for itself."""

    def upload(self, path: Path, field: str) -> Resolved:
        uri = self.datastores.uri_of(path)
        return self.resolve_uri(uri, field) if uri is not None else Resolved(path.as_uri(), path)

    def download(self, url: str, *_: object) -> Resolved:
        return Resolved(url, self.datastores.root)


class DryRunSnapshots(Snapshots):
    """Snapshots that are checked and named, and not taken."""

    def _copy(self, *_: object) -> None:
        """Copy nothing."""
