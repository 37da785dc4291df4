"""What jobs read: inputs are found by any form of their path, uploaded or downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from mlops_dagster.aml.references import (
    DatastorePath,
    JobOutput,
    LocalPath,
    Registered,
    parse_reference,
)
from mlops_dagster.aml.types import MODEL_TYPES
from mlops_dagster.errors import InvalidRequest, MlopsError, NotFound, Unsupported, suggest
from mlops_dagster.system import atomic
from mlops_dagster.system.files import (
    copy_tree,
    is_read_only,
    make_read_only,
    mark_used,
    reading,
    staging,
    writing,
)
from mlops_dagster.workspace.local.ground.addresses import (
    download_address,
    redact,
    substitution_remedy,
    unavailable_reason,
)
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.storage.datastores import (
    DEFAULT_DATASTORE,
    UPLOADS,
    Datastores,
    datastore_uri,
)
from mlops_dagster.workspace.local.storage.digest import Digests
from mlops_dagster.workspace.local.storage.outputs import Outputs
from mlops_dagster.workspace.local.storage.registry import Asset, Kind, Registry

Instead = Callable[[str, str | None], str]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Resolved:
    """An input, found.

    Attributes:
        uri: its ``azureml://datastores/...`` address.
        path: where it lies on this machine; exists.
        version: ``azureml:name:3`` where it is a registered asset.
    """

    uri: str
    path: Path
    version: str | None = None


class Storage:
    """The datastores of one home, as its jobs see them.

    Args:
        state: of that home.
        cloud: a project's ``.cloud/local``, whose ``datastores/*.yml`` add datastores.

    Attributes:
        datastores: where everything lies.
        outputs: what jobs write there.
        cloud: as given.
    """

    def __init__(self, state: State, cloud: Path | None = None) -> None:
        self._state = state
        self.cloud = cloud
        self._home = state.home.resolve()
        self._digests = Digests(state)
        self._registry = Registry(state)
        self.datastores = Datastores(self._home / "datastores", cloud)
        self.outputs = Outputs(self._home, self.datastores)

    def resolve(
        self,
        text: str,
        *,
        field: str = "",
        type: str | None = None,
        instead: Instead = lambda text, _: text,
        say: Say = lambda _: None,
    ) -> Resolved:
        """Find an input by any form of its path; a local file or folder is uploaded.

        What lies behind an ``https://`` address is downloaded, unless it was before.

        Args:
            field: where the path stands, such as ``inputs.rates``; for messages.
            type: the input's, such as ``mlflow_model``; tells a model from data of one name.
            instead: answers what stands in for an address of an input of a type.
            say: is called with the progress of a download.

        Raises:
            NotFound: nothing lies there; no such datastore, asset or job output.
            InvalidRequest: the address climbs out of its datastore, or is none.
            Unsupported: it lies on another machine.
            MlopsError: it could not be downloaded.
        """
        text = instead(text, type)
        reference = parse_reference(text)
        match reference:
            case LocalPath():
                return self.upload(self._existing(reference.path, field), field)
            case DatastorePath():
                return self.resolve_uri(datastore_uri(reference.datastore, reference.path), field)
            case Registered():
                asset = self._find_asset(reference, field, type)
                again = partial(self.resolve, field=field, type=type, instead=instead, say=say)
                return self._registered_content(asset, again(asset.uri))
            case JobOutput():
                return self._output_of(reference, field)
            case _:
                if (reason := unavailable_reason(text, type)) is not None:
                    message = f"{_field_phrase(field)} is {redact(text)}, which {reason}."
                    raise Unsupported(message, remedy=substitution_remedy(text, field))
                return self.download(text, field, say)

    def upload(self, path: Path, field: str) -> Resolved:
        """A local file or folder as an input: where it lies in a datastore, once it is uploaded."""
        uri = self.datastores.uri_of(path)
        if uri is not None:
            return self.resolve_uri(uri, field)
        if self._home.is_relative_to(path):
            raise InvalidRequest(
                f"{_field_phrase(field)} is {path}, which holds the workspace's own state {self._home}.",
                remedy="Name a folder that holds only data.",
            )
        with writing(self._home):
            uri = self._store(path, self.digest(path))
        return Resolved(uri, self.path_of(uri))

    def download(self, url: str, field: str, say: Say) -> Resolved:
        """What lies at an ``http(s)://`` address as an input, downloaded unless it was before."""
        from mlops_dagster.workspace.local.storage.downloads import Downloads, NotFetched

        try:
            file = Downloads(self._home).fetch(download_address(url) or url, say=say)
        except NotFetched as problem:
            raise MlopsError(
                f"{_field_phrase(field)} is {redact(url)}, which {problem}.",
                remedy=substitution_remedy(url, field),
            ) from None
        return self.upload(file, field)

    def resolve_uri(self, uri: str, field: str) -> Resolved:
        """What lies at a datastore URI as an input."""
        path = self.datastores.existing_path(uri)
        if path is not None:
            return Resolved(uri, path)
        if uri.endswith("/**"):
            return self.resolve_uri(uri.removesuffix("**"), field)
        if re.search(r"[*?\[]", uri):
            raise Unsupported(
                f"{_field_phrase(field)} is a pattern, {uri}, and nothing has exactly this name.",
                remedy="Name the file, or the folder that holds the files.",
            )
        remedy = f"{_neighbours(self.path_of(uri), field)} {substitution_remedy(uri, field)}"
        raise NotFound("file or folder", uri, remedy=remedy)

    def local_path(self, text: str) -> Path:
        """Where the content of an address can be read; a local path stands for itself.

        Raises as ``resolve`` does.
        """
        reference = parse_reference(text)
        if isinstance(reference, LocalPath):
            return self._existing(reference.path, "")
        return self.resolve(text).path

    def path_of(self, uri: str) -> Path:
        """Where a datastore URI leads to on this machine, whether something lies there or not.

        Raises NotFound for an unknown datastore, InvalidRequest for what is no datastore URI or
        climbs out of its datastore.
        """
        return self.datastores.path_of(uri)

    def freeze(self, found: Resolved) -> tuple[str, str]:
        """Where this content stays as it is now, and its digest.

        What the workspace has published or uploaded is kept once more, by links that cost no
        room. What somebody else has put into a datastore stays where it is; ``resolve`` refuses it
        once it has changed.
        """
        self.digest(found.path)  # may take its time, so that it is known below
        with writing(self._home), self._publishing_paused(found.path):
            digest = self.digest(found.path)
            if self.datastores.is_immutable(found.path) or not is_read_only(found.path):
                return found.uri, digest
            return self._store(found.path, digest), digest

    def digest(self, path: Path) -> str:
        """``sha256:...`` of a file, or of the names and contents of a tree.

        Kept, so that nothing is read twice. Raises NotFound where nothing
        lies there, InvalidRequest where it cannot be read.
        """
        if not path.exists():
            raise NotFound("file or folder", str(path), remedy="Check the path.")
        with reading(path):
            return self._digests.digest(path)

    def copy(self, path: Path, to: Path) -> str:
        """Copy a file or folder, as a read-only one; returns the digest of both.

        Raises as ``digest`` does, and InvalidRequest where it is written to meanwhile.
        """
        self.digest(path)  # may take its time, so that it is known below
        with self._publishing_paused(path):
            digest = self.digest(path)
            self._copy(path, to, digest)
        return digest

    def _copy(self, path: Path, to: Path, digest: str) -> None:
        # Read-only files of the home are on the disk once: nobody changes them.
        copy_tree(path, to, link=path.is_relative_to(self._home))
        if self.digest(path) != digest:
            raise InvalidRequest(
                f"{path} was written to while it was read.", remedy="Try again when it is whole."
            )
        make_read_only(to)

    def _publishing_paused(self, path: Path) -> AbstractContextManager[None]:
        """As long as the block runs, no job publishes an output to ``path``."""
        if path.is_relative_to(self.datastores.root):
            return self.datastores.publisher.exclusively()
        return nullcontext()

    def _find_asset(self, reference: Registered, field: str, type: str | None) -> Asset:
        if reference.label not in (None, "latest"):
            raise InvalidRequest(
                f"{_field_phrase(field)} asks for the label {reference.label!r} of {reference.name!r}.",
                remedy="Write a version, or @latest.",
            )
        kinds: tuple[Kind, ...] = ("model", "data") if type in MODEL_TYPES else ("data", "model")
        try:
            return self._registry.find(kinds, reference.name, reference.version)
        except NotFound as missing:
            remedies = (
                missing.remedy,
                substitution_remedy(_reference_text(reference), field, type),
            )
            remedy = " ".join(filter(None, remedies))
            raise NotFound(missing.kind, missing.name, remedy=remedy) from None

    def _output_of(self, reference: JobOutput, field: str) -> Resolved:
        self._state.create(records.SCHEMA)
        with self._state.read() as connection:
            row = records.find(connection, reference.job)
            if row is None:
                raise NotFound("job", reference.job)
            outputs = records.records(connection, [row])[0].outputs
        if reference.output in records.ARTIFACTS:
            uri = records.artifacts_uri(reference.job)
            return self.resolve_uri(f"{uri}/{reference.path}" if reference.path else uri, field)
        if reference.output not in outputs:
            remedy = suggest(reference.output, outputs)
            remedy = remedy or f"The job is {row['status']} and has no outputs."
            raise NotFound("output", f"{reference.job}.{reference.output}", remedy=remedy)
        uri = outputs[reference.output].uri
        return self.resolve_uri(
            f"{uri.rstrip('/')}/{reference.path}" if reference.path else uri, field
        )

    def _store(self, path: Path, digest: str) -> str:
        """Copy what lies at ``path`` to the uploads, one copy a content; returns its address."""
        name = f"{UPLOADS}/{digest.removeprefix('sha256:')}/{path.name}"
        uri = datastore_uri(DEFAULT_DATASTORE, name)
        target = self.path_of(uri)
        if not (mark_used(target.parent) and target.exists()):
            with staging(self.datastores.root / ".staging/.upload") as place:
                copy = place / path.name
                self._copy(path, copy, digest)
                target.parent.mkdir(parents=True, exist_ok=True)
                atomic.move(copy, target)
        return uri

    def _registered_content(self, asset: Asset, found: Resolved) -> Resolved:
        """The content of a registered version; refused where it is no longer what it was."""
        changeable = (
            asset.digest and found.uri == asset.uri and not self.datastores.is_immutable(found.path)
        )
        if changeable and self.digest(found.path) != asset.digest:
            raise InvalidRequest(
                f"{asset.reference} is no longer what was registered: {asset.uri} was changed.",
                remedy="Restore what lay there, or register it as the next version.",
            )
        return replace(found, version=asset.reference)

    def _existing(self, given: str | Path, field: str) -> Path:
        path = Path(given)
        if not path.is_absolute():
            raise InvalidRequest(
                f"{_field_phrase(field)} is {str(path)!r}, which is neither an address nor absolute.",
                remedy="Write an absolute path, or azureml://datastores/NAME/paths/PATH.",
            )
        with reading(path):
            path = path.parent.resolve() / path.name if path.name != ".." else path.resolve()
            if path.exists():
                return path
        raise NotFound("file or folder", str(path), remedy=_neighbours(path, field))


def _neighbours(path: Path, field: str) -> str:
    """What to do where nothing lies at ``path``: what the nearest folder above it holds."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    with os.scandir(folder) as found:
        names = sorted(item.name for item in found if item.name[0] != ".")
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    near = get_close_matches(path.name, names, n=1) if folder == path.parent else []
    question = f"Did you mean {near[0]!r}? " if near else ""
    return f"{question}{_field_phrase(field)} leads there; {folder} holds: {shown or 'nothing'}."


def _reference_text(reference: Registered) -> str:
    version = f":{reference.version}" if reference.version else ""
    return f"azureml:{reference.name}{version or '@latest'}"


def _field_phrase(field: str) -> str:
    return f"The path of {field}" if field else "The path"
