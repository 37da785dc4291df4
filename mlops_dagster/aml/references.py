"""What the text of a ``path``, ``environment``, ``component`` ... names.

Sources: "Create data assets" and "Manage inputs and outputs of a job" of Azure Machine Learning
(learn.microsoft.com/azure/machine-learning/how-to-read-write-data-v2, .../reference-yaml-core-syntax).
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.errors import InvalidRequest


@dataclass(frozen=True)
class LocalPath:
    """A file or folder on this machine, as written."""

    path: Path


@dataclass(frozen=True)
class Registered:
    """An asset that is registered in the workspace: a version, a label (``latest``) or neither."""

    name: str
    version: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class DatastorePath:
    """A path below a datastore, without a leading ``/``; empty for the whole of it."""

    datastore: str
    path: str


@dataclass(frozen=True)
class RegistryAsset:
    """An asset of a registry that workspaces share.

    Attributes:
        kind: ``components``, ``environments``, ``models`` or ``data``.
    """

    registry: str
    kind: str
    name: str
    version: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class JobOutput:
    """An output of a job that ran before; ``path`` leads on within it and may be empty."""

    job: str
    output: str
    path: str = ""


@dataclass(frozen=True)
class Url:
    """Somewhere on the network: ``https://``, ``wasbs://``, ``abfss://``, ``git+https://`` ..."""

    url: str


Reference = LocalPath | Registered | DatastorePath | RegistryAsset | JobOutput | Url

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DATASTORE = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?"
    r"datastores/([^/]+)(?:/paths)?(?:/(.*))?",
    re.IGNORECASE | re.DOTALL,
)
_REGISTRY = re.compile(
    r"azureml://(?:registries|feeds)/([^/]+)/([^/]+)/([^/]+)(?:/(versions|labels)/([^/]+))?/?",
    re.IGNORECASE,
)
_JOB_OUTPUT = re.compile(
    r"azureml://jobs/([^/]+)/outputs/([^/]+?)/?(?:/paths/(.*))?", re.IGNORECASE | re.DOTALL
)
_JOB_OUTPUT_SHORT = re.compile(r"azureml:([^:/@]+):outputs?[./]([^/]+)(?:/(.*))?", re.DOTALL)
_ARM = re.compile(
    r"azureml:/subscriptions/.+?/workspaces/[^/]+/([^/]+)/([^/]+)"
    r"(?:/versions/([^/]+)|/labels/([^/]+))?/?",
    re.IGNORECASE,
)
_RUN = re.compile(r"runs:/([^/]+)(?:/(.*))?", re.DOTALL)


def parse_reference(text: str) -> Reference:
    """Tell what ``text`` names; whatever is no known form is a path on this machine.

    Nothing is looked up: a name that does not exist is parsed like any other.
    """
    text = text.strip()
    if text.startswith("azureml:azureml:"):
        text = text.removeprefix("azureml:")
    if text.lower().startswith("azureml://"):
        return _parse_azureml_uri(text)
    if text.startswith("azureml:"):
        return _parse_asset(text)
    if run := _RUN.fullmatch(text):
        return JobOutput(run[1], "artifacts", run[2] or "")
    if text.lower().startswith("file:"):
        return LocalPath(Path(_without_file_scheme(text)))
    if _SCHEME.match(text) or text.startswith("git+"):
        return Url(text)
    return LocalPath(Path(text))


def address_of(given: str | Path) -> str:
    """An address as text; a ``Path`` stands for a file or folder, from the current directory."""
    return str(given.expanduser().absolute()) if isinstance(given, Path) else given


def name_and_version(text: str, version: str | None = None) -> tuple[str, str | None]:
    """Name and version of ``name``, ``name:3`` or ``name@latest``, with or without ``azureml:``.

    The version is None for the latest. Raises InvalidRequest where two versions are given, or a
    label other than ``latest``.
    """
    name, at, label = text.removeprefix("azureml:").partition("@")
    if at and label != "latest":
        raise InvalidRequest(
            f"{text!r} has the label {label!r}; only latest is known.",
            remedy="Give a version instead, such as NAME:3.",
        )
    name, colon, given = name.partition(":")
    if ((colon or at) and version is not None) or (colon and at):
        raise InvalidRequest(f"{text!r} is given two versions.", remedy="Leave one out.")
    return name, given if colon else version


def _parse_azureml_uri(text: str) -> Reference:
    if found := _DATASTORE.fullmatch(text):
        return DatastorePath(found[1], (found[2] or "").lstrip("/"))
    if found := _REGISTRY.fullmatch(text):
        version = found[5] if found[4] and found[4].lower() == "versions" else None
        label = found[5] if found[4] and found[4].lower() == "labels" else None
        return RegistryAsset(found[1], found[2].lower(), found[3], version, label)
    if found := _JOB_OUTPUT.fullmatch(text):
        return JobOutput(found[1], found[2], found[3] or "")
    return Url(text)


def _parse_asset(text: str) -> Reference:
    if found := _DATASTORE.fullmatch(text.replace("azureml:/", "azureml://", 1)):
        return DatastorePath(found[1], (found[2] or "").lstrip("/"))
    if found := _ARM.fullmatch(text):
        return Registered(found[2], found[3], found[4])
    if found := _JOB_OUTPUT_SHORT.fullmatch(text):
        return JobOutput(found[1], found[2], found[3] or "")
    rest = text.removeprefix("azureml:")
    name, colon, version = rest.partition(":")
    if colon:
        return Registered(name, version or None)
    name, at, label = rest.partition("@")
    return Registered(name, None, label or None) if at else Registered(rest)


def is_local(text: str) -> bool:
    """Whether ``text`` names a file or folder on this machine, and so is relative to its YAML."""
    return "${{" not in text and isinstance(parse_reference(text), LocalPath)


def resolve_path(text: str, folder: Path) -> str:
    """``text``, made absolute against ``folder`` where it is a path on this machine."""
    if not is_local(text):
        return text.strip()
    # `..` is folded by name, as the Azure tools do; links are followed by who opens the file.
    return os.path.abspath(folder / _without_file_scheme(text.strip()))  # noqa: PTH100


def _without_file_scheme(text: str) -> str:
    if not text.lower().startswith("file:"):
        return text
    rest = text[len("file:") :]
    return rest[2:] if rest.startswith("///") else rest
