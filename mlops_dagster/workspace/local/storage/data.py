"""Data assets of the local workspace, and the way to what lies in its datastores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlops_dagster.aml.references import Url, address_of, parse_reference
from mlops_dagster.aml.types import DATA_TYPES
from mlops_dagster.errors import Conflict, InvalidRequest
from mlops_dagster.system.files import remove, writing
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.storage.registry import Asset, Registry, check_name
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import Data, DataVersion

DIGEST_TAG = "mlops.digest"


class LocalData(Data):
    """``Data`` on this machine.

    A version keeps its content: a local path is uploaded, and of what the workspace has written to
    a datastore a copy stays that costs no room. What somebody else has put there is refused once it
    has changed. The tag ``mlops.digest`` names the content.
    """

    def __init__(self, state: State, storage: Storage) -> None:
        self._storage = storage
        self._registry = Registry(state)

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
        check_name("data", name, version)
        if type not in DATA_TYPES:
            raise InvalidRequest(
                f"{type!r} is not a type of data.", remedy=f"Write one of {', '.join(DATA_TYPES)}."
            )
        place, content, digest = self._content(address_of(uri), type)

        def make(number: str) -> Asset:
            return Asset(
                kind="data",
                name=name,
                version=number,
                type=type,
                uri=content,
                digest=digest,
                source=place,
                description=description,
                tags={**(tags or {}), **({DIGEST_TAG: digest} if digest else {})},
                job=job,
            )

        asset = self._registry.add("data", name, version, make, job=job, source=place)
        if version and (asset.type, asset.digest or asset.source) != (type, digest or place):
            raise Conflict(
                f"{asset.reference} exists, with other content or type (from {asset.source}).",
                remedy="Leave the version out to register the next one.",
            )
        return _version(asset)

    def get(self, name: str, version: str | None = None) -> DataVersion:
        return _version(self._registry.find(("data",), name, version))

    def list(self, name: str | None = None) -> Sequence[DataVersion]:
        found = self._registry.versions("data", name) if name else self._registry.latest("data")
        return [_version(asset) for asset in found]

    def local_path(self, uri: str | Path) -> Path:
        return self._storage.local_path(address_of(uri))

    def delete(self, uri: str) -> None:
        path = self._storage.path_of(uri)
        if (asset := self._registry.keeps(uri)) is not None:
            raise Conflict(
                f"{uri} is the content of {asset.reference}.",
                remedy="A registered version keeps its content.",
            )
        with writing(path):
            remove(path)
            # An upload lies in a folder of its own, which is named after its content.
            with suppress(OSError):
                path.parent.rmdir()

    def _content(self, uri: str, type: str) -> tuple[str, str, str]:
        """The address, where the content stays, and its digest; of a URL only the address is known."""
        if isinstance(parse_reference(uri), Url):
            return uri, uri, ""
        found = self._storage.resolve(uri, type=type)
        if type == "uri_file" and found.path.is_dir():
            raise InvalidRequest(
                f"{uri} is a folder, and a uri_file is one file.",
                remedy="Register it as a uri_folder, or name a file in it.",
            )
        if type != "uri_file" and found.path.is_file():
            raise InvalidRequest(
                f"{uri} is a file, and a {type} is a folder.",
                remedy="Register it as a uri_file, or name its folder.",
            )
        return found.uri, *self._storage.freeze(found)


def _version(asset: Asset) -> DataVersion:
    return DataVersion(
        name=asset.name,
        version=asset.version,
        type=asset.type,
        uri=asset.source,
        created_at=asset.created_at,
        description=asset.description,
        tags=asset.tags,
        job=asset.job,
    )
