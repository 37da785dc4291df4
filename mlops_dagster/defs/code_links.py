"""Where the code that defines an asset can be read: in the repository, or in a local editor.

Dagster's own links open an editor on the machine of whoever looks, which is of no use to others.
Where the project's Git repository has a remote on GitHub, GitLab or Azure DevOps, the links lead
there instead, to the branch that is checked out.
"""

from __future__ import annotations

import os
import re
import subprocess
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg

CODE_URL = "MLOPS_CODE_URL"

_HTTPS = re.compile(r"https://(?:[^@/]+@)?(?P<host>[^/]+)/(?P<path>.+?)(?:\.git)?/?")
_SSH = re.compile(r"(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+?)(?:\.git)?/?")
_AZURE_SSH = re.compile(r"v3/(?P<organisation>[^/]+)/(?P<project>[^/]+)/(?P<name>[^/]+)")


@dataclass(frozen=True)
class Repository:
    """A checkout of a Git repository that can be read in a browser.

    Attributes:
        root: the checkout's folder.
        url: the repository's page.
        branch: the branch, or the commit where none is checked out.
    """

    root: Path
    url: str
    branch: str

    def link(self, path: Path, line: int) -> str:
        """The page of a file or folder; ``line`` is 0 for the whole of it."""
        inside, branch = quote(path.relative_to(self.root).as_posix()), quote(self.branch)
        if "/_git/" in self.url:
            lines = f"&line={line}&lineEnd={line + 1}&lineStartColumn=1&lineEndColumn=1"
            is_commit = re.fullmatch(r"[0-9a-f]{40}", self.branch) is not None
            version = f"{'GC' if is_commit else 'GB'}{branch}"
            return f"{self.url}?path=/{inside}&version={version}{lines if line else ''}"
        kind = "blob" if path.is_file() else "tree"
        between = "/-" if "gitlab" in self.url else ""
        return f"{self.url}{between}/{kind}/{branch}/{inside}{f'#L{line}' if line else ''}"


def code_references(folder: Path, locations: Iterable[tuple[Path, int, str]]) -> dict[str, Any]:
    """Links from an asset of the project in ``folder`` to what defines it.

    Args:
        locations: each a file or folder, a line (0 for none) and a label.
    """
    repository = find_repository(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # the only way to link YAML from an asset
        references = [_reference(repository, *location) for location in locations]
        value = dg.CodeReferencesMetadataValue(code_references=references)
    return {"dagster/code_references": value}


@lru_cache(maxsize=16)
def find_repository(folder: Path) -> Repository | None:
    """The repository around a folder, if it has a page.

    ``MLOPS_CODE_URL`` (``https://HOST/OWNER/NAME@BRANCH``) names it where the code runs without its
    Git folder, as in an image.
    """
    root = _git(folder, "rev-parse", "--show-toplevel")
    page, _, branch = (os.environ.get(CODE_URL) or "").rpartition("@")
    if page:
        return Repository(Path(root) if root else folder, page.rstrip("/"), branch)
    if not root:
        return None
    url = repository_page(_git(folder, "config", "--get", "remote.origin.url"))
    branch = _git(folder, "symbolic-ref", "--short", "-q", "HEAD") or _git(
        folder, "rev-parse", "HEAD"
    )
    return Repository(Path(root), url, branch) if url and branch else None


def repository_page(remote: str) -> str | None:
    """The page of a remote on GitHub, GitLab or Azure DevOps; never with its credentials in it."""
    parts = _HTTPS.fullmatch(remote) or _SSH.fullmatch(remote)
    if parts is None:
        return None
    host, path = parts["host"], parts["path"]
    if host == "ssh.dev.azure.com" and (names := _AZURE_SSH.fullmatch(path)) is not None:
        return "https://dev.azure.com/{organisation}/{project}/_git/{name}".format(
            **names.groupdict()
        )
    is_known = "github" in host or "gitlab" in host or "/_git/" in f"/{path}"
    return f"https://{host}/{path}" if is_known else None


def _reference(repository: Repository | None, path: Path, line: int, label: str) -> Any:
    if repository is not None and path.is_relative_to(repository.root):
        return dg.UrlCodeReference(url=repository.link(path, line), label=label)
    return dg.LocalFileCodeReference(file_path=str(path), line_number=line or None, label=label)


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; nothing where there is no git, or no repository."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
