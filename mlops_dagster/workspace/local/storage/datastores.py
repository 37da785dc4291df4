"""Datastores: folders of this machine that ``azureml://datastores/NAME/paths/PATH`` addresses.

::

    .mlops/datastores/
      workspaceblobstore/       the default datastore
        LocalUpload/DIGEST/     local inputs and versions of data assets, one copy a content
        azureml/JOB/OUTPUT/     outputs that name no place of their own
        azureml-models/NAME/VERSION/   registered models
      NAME/                     a datastore that .cloud/local/datastores/*.yml declares, or that
                                a job names where there is no project
      .staging/                 what is being written; moved into place when it is whole. What a
                                parallel step had written that did not complete stays
      .publishing/              for an instant: what is being added to a folder that is there
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mlops_dagster.aml.references import DatastorePath, parse_reference
from mlops_dagster.errors import InvalidDocument, InvalidRequest, NotFound
from mlops_dagster.system.files import writing
from mlops_dagster.workspace.local.storage.publisher import Publisher

DEFAULT_DATASTORE = "workspaceblobstore"
MODELS = "azureml-models"
UPLOADS = "LocalUpload"

# Every Azure ML workspace has these (learn.microsoft.com/azure/machine-learning/how-to-datastore).
_BUILT_IN = (
    DEFAULT_DATASTORE,
    "workspaceartifactstore",
    "workspacefilestore",
    "workspaceworkingdirectory",
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}")


class Datastores:
    """The datastores of one home.

    Args:
        root: the folder that holds them all; made where it does not exist.
        cloud: a project's ``.cloud/local``, whose ``datastores/*.yml`` (Azure ML's datastore
            YAML) add datastores; they stay known to the home.

    Attributes:
        root: as given, without links.
        publisher: adds outputs to them.
    """

    def __init__(self, root: Path, cloud: Path | None = None) -> None:
        self._cloud = cloud
        with writing(root):
            root.mkdir(parents=True, exist_ok=True)
            self.root = root.resolve()
            for name in (*_BUILT_IN, *_declared_names(cloud)):
                (self.root / name).mkdir(exist_ok=True)
        self.publisher = Publisher(self.root)

    def path_of(self, uri: str) -> Path:
        """Where a datastore URI leads to, whether something lies there or not.

        Raises NotFound for an unknown datastore, InvalidRequest for what is no datastore URI or
        climbs out of its datastore.
        """
        reference = parse_reference(uri)
        if not isinstance(reference, DatastorePath):
            raise InvalidRequest(
                f"{uri!r} is not a datastore's address.",
                remedy="Write azureml://datastores/NAME/paths/PATH.",
            )
        folder = self._folder(reference.datastore)
        path = folder.joinpath(*_steps(reference.path, uri))
        try:
            real = Path(os.path.realpath(path, strict=False))
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{uri!r} is not a path: {error}.") from None
        if not real.is_relative_to(folder):
            raise InvalidRequest(f"{uri!r} leads out of its datastore, through a link.")
        return path

    def uri_of(self, path: Path) -> str | None:
        """The datastore URI of a path below a datastore's folder; None for any other."""
        if not path.is_relative_to(self.root):
            return None
        name, *steps = path.relative_to(self.root).parts or (".",)
        return None if name.startswith(".") else datastore_uri(name, "/".join(steps))

    def existing_path(self, uri: str) -> Path | None:
        """The path of what lies at ``uri``; None where nothing does."""
        path = self.path_of(uri)
        with writing(self.root):
            self.publisher.finish()
        return path if path.exists() else None

    def is_immutable(self, path: Path) -> bool:
        """Whether ``path`` belongs to what the workspace never changes."""
        return any(path.is_relative_to(folder) for folder in self.immutable_folders)

    @property
    def immutable_folders(self) -> tuple[Path, ...]:
        """Where registered models and uploads lie."""
        default = self.root / DEFAULT_DATASTORE
        return (default / MODELS, default / UPLOADS)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        # With no project at hand any name stands for a folder here, as any compute does.
        if _NAME.fullmatch(name) and (folder.is_dir() or self._cloud is None):
            return folder
        known = sorted(item.name for item in self.root.iterdir() if item.name[0] != ".")
        remedy = f"Known here: {', '.join(known)}."
        if self._cloud is not None:
            file = self._cloud / "datastores" / "NAME.yml"
            remedy += f" A new one is declared in {file}, in Azure ML's datastore YAML."
        raise NotFound("datastore", name, remedy=remedy)


def datastore_uri(datastore: str, path: str) -> str:
    """The short form of a datastore URI, by which things are known here."""
    return f"azureml://datastores/{datastore}/paths/{path}"


def _declared_names(cloud: Path | None) -> list[str]:
    if cloud is None or not (cloud / "datastores").is_dir():
        return []
    from mlops_dagster.aml.document import read_document

    names = []
    for file in sorted((cloud / "datastores").glob("*.y*ml")):
        document = read_document(file)
        name = document.data.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            message = f"Found {name!r}; expected a name of letters, digits, '_' and '-'."
            raise InvalidDocument([document.problem(("name",), message)])
        names.append(name)
    return names


def _steps(path: str, uri: str) -> list[str]:
    """The folders and the file of a path inside a datastore; refuses what climbs."""
    steps = [step for step in path.split("/") if step not in ("", ".")]
    if path.startswith("/") or "\0" in path or "\\" in path or ".." in steps:
        raise InvalidRequest(
            f"{uri!r} climbs out of its datastore.",
            remedy="Write a path below the datastore, without '..' and without a '/' in front.",
        )
    return steps
