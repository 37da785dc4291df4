"""Registered models of the local workspace: immutable copies that remember where they came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from mlops_dagster.aml.references import address_of
from mlops_dagster.aml.types import MODEL_TYPES
from mlops_dagster.errors import Conflict, InvalidRequest
from mlops_dagster.system import atomic
from mlops_dagster.system.files import (
    copy_tree,
    reading,
    remove,
    staging,
    writing,
)
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.storage.datastores import (
    DEFAULT_DATASTORE,
    MODELS,
    datastore_uri,
)
from mlops_dagster.workspace.local.storage.registry import Asset, Registry, check_name
from mlops_dagster.workspace.local.storage.storage import Storage
from mlops_dagster.workspace.ports import Models, ModelVersion

# Kept among a version's properties; ModelVersion has attributes for them.
_DATA, _CODE = "mlops.data", "mlops.code"

Origin = tuple[Sequence[str], str | None]


class LocalModels(Models):
    """``Models`` on this machine.

    Attributes:
        origin: answers the references of the data that a job read and the digest of its code, or
            None; set by whoever knows the jobs.
    """

    def __init__(self, state: State, storage: Storage) -> None:
        self._storage = storage
        self._registry = Registry(state)
        self.origin: Callable[[str], Origin] | None = None

    def register(
        self,
        name: str,
        uri: str | Path,
        *,
        type: str = "mlflow_model",
        version: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        job: str | None = None,
    ) -> ModelVersion:
        check_name("model", name, version)
        if type not in MODEL_TYPES:
            raise InvalidRequest(
                f"{type!r} is not a type of model.",
                remedy=f"Write one of {', '.join(MODEL_TYPES)}.",
            )
        source = self._storage.local_path(address_of(uri))
        place = self._storage.datastores.uri_of(source) or str(source)
        known = self._registry.find_of_job("model", name, job, place)
        if known is not None and version is None:
            return _version(known)
        all_properties = {
            **_mlmodel_properties(source, type),
            **(properties or {}),
            **self._origin_of(job),
        }
        datastores = self._storage.datastores

        with writing(datastores.root), staging(datastores.root / ".staging/.models") as folder:
            copy = folder / source.name
            digest = self._storage.copy(source, copy)

            def make(number: str) -> Asset:
                where = f"{MODELS}/{name}/{number}"
                target = datastores.path_of(_uri(where))
                # A version that no row names was left by a process that died at this very place.
                remove(target)
                target.parent.mkdir(parents=True, exist_ok=True)
                atomic.move(folder, target)
                return Asset(
                    kind="model",
                    name=name,
                    version=number,
                    type=type,
                    uri=_uri(f"{where}/{source.name}"),
                    digest=digest,
                    source=place,
                    description=description,
                    tags=dict(tags or {}),
                    properties=all_properties,
                    job=job,
                )

            asset = self._registry.add("model", name, version, make, job=job, source=place)
        if version and (asset.type, asset.digest) != (type, digest):
            raise Conflict(
                f"{asset.reference} exists, with other content or type "
                f"({asset.digest}, from {asset.source}).",
                remedy="Leave the version out to register the next one.",
            )
        return _version(asset)

    def get(self, name: str, version: str | None = None) -> ModelVersion:
        return _version(self._registry.find(("model",), name, version))

    def list(self, name: str | None = None) -> Sequence[ModelVersion]:
        found = self._registry.versions("model", name) if name else self._registry.latest("model")
        return [_version(asset) for asset in found]

    def tag(self, name: str, version: str, tags: Mapping[str, str | None]) -> ModelVersion:
        asset = self._registry.find(("model",), name, version)
        self._registry.tag("model", asset.name, asset.version, tags)
        return self.get(asset.name, asset.version)

    def download(self, name: str, version: str | None, to: Path) -> Path:
        """Copy the model below ``to``, under the last name of its own path, as Azure ML mounts it
        below ``AZUREML_MODEL_DIR``.

        Raises Conflict where something else lies there, NotFound, WorkspaceUnavailable.
        """
        asset = self._registry.find(("model",), name, version)
        source = self._storage.local_path(asset.uri)
        target = to.absolute() / source.name
        if target.exists():
            if self._storage.digest(target) == asset.digest:
                return target
            raise Conflict(
                f"{target} exists, and is not {asset.reference}.", remedy="Choose another folder."
            )
        with writing(to), staging(to.absolute() / ".mlops-download") as folder:
            copy_tree(source, folder / source.name)
            atomic.move(folder / source.name, target)
        with writing(to):
            (to.absolute() / ".mlops-download").rmdir()
        return target

    def _origin_of(self, job: str | None) -> dict[str, str]:
        if job is None or self.origin is None:
            return {}
        data, code = self.origin(job)
        return {_DATA: json.dumps(list(data)), **({_CODE: code} if code else {})}


def _uri(path: str) -> str:
    return datastore_uri(DEFAULT_DATASTORE, path)


def _mlmodel_properties(source: Path, type: str) -> dict[str, str]:
    """What the model says of itself in its ``MLmodel`` file (mlflow.org/docs/latest/ml/model)."""
    file = source / "MLmodel"
    if not file.is_file():
        if type != "mlflow_model":
            return {}
        raise InvalidRequest(
            f"{source} holds no file MLmodel, so it is not an mlflow_model.",
            remedy="Save it with mlflow's save_model, or register it as a custom_model.",
        )
    with reading(file):
        text = file.read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        raise InvalidRequest(f"{file} is not the YAML that MLflow writes.")
    all_properties = {"flavors": json.dumps(content.get("flavors") or {}, default=str)}
    for key in ("mlflow_version", "model_uuid", "run_id"):
        if content.get(key):
            all_properties[key] = str(content[key])
    return all_properties


def _version(asset: Asset) -> ModelVersion:
    properties = dict(asset.properties)
    data = json.loads(properties.pop(_DATA, "[]"))
    code = properties.pop(_CODE, None)
    return ModelVersion(
        name=asset.name,
        version=asset.version,
        type=asset.type,
        uri=asset.uri,
        digest=asset.digest,
        created_at=asset.created_at,
        description=asset.description,
        tags=asset.tags,
        properties=properties,
        job=asset.job,
        data=data,
        code=code,
    )
