"""Addresses that lead off this machine: why one cannot be read here, and what to give instead."""

from __future__ import annotations

import re

from mlops_dagster.aml.references import Registered, RegistryAsset, Url, parse_reference
from mlops_dagster.aml.types import FOLDER_TYPES, MODEL_TYPES

# In the home, and taken in wherever it is there.
SUBSTITUTIONS = "substitutions.yml"
_BLOB = re.compile(
    r"(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[a-z0-9]+)"
    r"\.(?:blob|dfs)\.(?P<cloud>core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net))/(?P<path>.+)"
)


def download_address(text: str) -> str | None:
    """The ``http(s)://`` address of what an address names; None where it has none.

    A blob has one as well, which answers without a key where its container is public
    (learn.microsoft.com/azure/storage/blobs/anonymous-read-access-configure).
    """
    if text.lower().startswith(("https://", "http://")):
        return text
    blob = _BLOB.fullmatch(text)
    if blob is None:
        return None
    return "https://{account}.blob.{cloud}/{container}/{path}".format_map(blob.groupdict())


def unavailable_reason(text: str, type: str | None = None) -> str | None:
    """Why what an address names cannot be had here; None where it can, or may be.

    Args:
        type: the input's; a folder cannot be fetched, for nothing lists it.
    """
    reference = parse_reference(text)
    if isinstance(reference, RegistryAsset):
        return "lies in a registry on Azure"
    if not isinstance(reference, Url):
        return None
    if download_address(text) is None:
        return "lies on another machine"
    if type in FOLDER_TYPES or text.partition("?")[0].endswith("/"):
        return "is a folder on the network, which nothing lists"
    return None


def redact(text: str) -> str:
    """An address without what is often a secret: a query (a shared access signature), a password.

    What stands before the ``@`` of ``wasbs://`` and ``abfss://`` is a container's name.
    """
    if "://" not in text:
        return text
    return re.sub(r"^(https?://)[^/@]*@|(?<=//)[^/@]*:[^/@]*@", r"\1", text.partition("?")[0])


def substitution_remedy(text: str, field: str, type: str | None = None) -> str:
    """How to put a local file in the place of an address; for a remedy.

    Args:
        field: the input, such as ``inputs.rates``; empty where it is not known.
        type: the input's; tells a model from data of one name.
    """
    reference = parse_reference(text)
    section = "inputs"
    if isinstance(reference, Registered):
        section = "models" if type in MODEL_TYPES else "data"
    if isinstance(reference, RegistryAsset) and reference.kind in ("models", "data"):
        section = reference.kind
    return (
        f"Give a local file or folder instead: --set {field or 'inputs.NAME'}.path=PATH, or "
        f"`{section}: {{{redact(text)}: PATH}}` in .mlops/{SUBSTITUTIONS} or in the file that "
        "--substitutions names."
    )
