"""Data assets, and what lies in the datastores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class DataVersion:
    """A version of a registered data asset; immutable.

    Attributes:
        type: ``uri_file``, ``uri_folder`` or ``mltable``.
        job: the job that wrote it, if one did.
    """

    name: str
    version: str
    type: str
    uri: str
    created_at: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None

    @property
    def reference(self) -> str:
        """``azureml:name:version``."""
        return f"azureml:{self.name}:{self.version}"


class Data(Protocol):
    """Data assets and what lies in the datastores."""

    def register(
        self,
        name: str,
        uri: str | Path,
        *,
        type: str,
        version: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        job: str | None = None,
    ) -> DataVersion:
        """Register what lies at ``uri`` (a URI, a URL, an absolute local path or a ``Path``).

        A given version that exists with the same content is returned as it is.
        Raises Conflict where it has other content, NotFound where nothing lies there.
        """

    def get(self, name: str, version: str | None = None) -> DataVersion:
        """A version, or the latest one; ``get("rates:3")`` and ``get("rates", "3")`` are the same.

        Raises NotFound.
        """

    def list(self, name: str | None = None) -> Sequence[DataVersion]:
        """The latest version of every asset, or every version of one, newest first."""

    def local_path(self, uri: str | Path) -> Path:
        """A path on this machine from which the content can be read; never written to.

        Takes every form of an input's path: datastore URIs, ``azureml:name:version``,
        ``azureml:name@latest``, URLs, absolute paths, a ``Path``. Raises NotFound.
        """

    def delete(self, uri: str) -> None:
        """Delete what lies at a datastore's address; it is fine where nothing does.

        No job can read it any more. Raises InvalidRequest for another kind of address, and
        Conflict where it is the content of a registered version.
        """
