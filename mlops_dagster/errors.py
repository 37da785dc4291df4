"""What can go wrong, as one tree.

::

    MlopsError                    something that was asked for did not happen     exit status 1
    ├── InvalidRequest            the request itself is wrong; nothing was done   exit status 2
    │   ├── InvalidDocument       a YAML file is wrong: file, line, field, remedy
    │   ├── NotFound              a job, model, data asset, compute ... that does not exist
    │   ├── Conflict              a name is taken by something else
    │   └── Unsupported           valid on Azure, cannot run in this workspace
    ├── JobFailed                 a job ended, and not in Completed
    ├── WorkspaceUnavailable      the workspace's state cannot be read or written
    └── StorageUnavailable        a folder or storage account cannot be read or written for now

Only the command line turns these into exit statuses. Every message says what was found, where,
and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


class MlopsError(Exception):
    """Something that was asked for did not happen.

    Args:
        message: what was found and what it means, in one line where possible.
        remedy: what to do about it, in one line.
    """

    exit_status = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class InvalidRequest(MlopsError):
    """The request itself is wrong; nothing was done."""

    exit_status = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in one file.

    Attributes:
        file: the file that holds it.
        line: counted from 1; 0 where the mistake is the whole file.
        field: dotted path inside the document, such as ``jobs.train.inputs.rate``; may be empty.
        message: what was found.
        remedy: what to write instead; may be empty.
    """

    file: Path
    line: int
    field: str
    message: str
    remedy: str = ""

    @property
    def where(self) -> str:
        """File, line and field, such as ``job.yml:3: inputs.rates``."""
        file = f"{_short_path(self.file)}:{self.line}" if self.line else _short_path(self.file)
        return f"{file}: {self.field}" if self.field else file

    def __str__(self) -> str:
        remedy = f"\n    {self.remedy}" if self.remedy else ""
        return f"{self.where}: {self.message}{remedy}"


class InvalidDocument(InvalidRequest):
    """One or more mistakes in YAML files, all reported at once, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(dict.fromkeys(sorted(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotFound(InvalidRequest):
    """Something was named that does not exist.

    Args:
        kind: what it is, such as ``job`` or ``compute``.
        name: the name that was given.
        known: the names that do exist, from which the nearest are suggested.
        remedy: what to do instead of choosing one of the nearest.
        where: the file, line and field that name it, such as ``job.yml:3: inputs.rates``.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        known: Sequence[str] = (),
        remedy: str | None = None,
        where: str | None = None,
    ) -> None:
        message = f"There is no {kind} {name!r}."
        super().__init__(
            f"{where}: {message}" if where else message, remedy=remedy or suggest(name, known)
        )
        self.kind = kind
        self.name = name


class Conflict(InvalidRequest):
    """A name is taken by something with other content."""


class Unsupported(InvalidRequest):
    """Valid in Azure ML, but this workspace cannot run it."""


class JobFailed(MlopsError):
    """A job ended, and not in Completed.

    Args:
        name: the job.
        status: the terminal state that it ended in.
        reason: why, in one line.
        log_tail: the end of its own log.
    """

    def __init__(self, name: str, status: str, reason: str, log_tail: str = "") -> None:
        tail = f"\n{log_tail}" if log_tail else ""
        super().__init__(f"Job {name} ended as {status}: {reason}{tail}")
        self.name = name
        self.status = status
        self.reason = reason
        self.log_tail = log_tail


class WorkspaceUnavailable(MlopsError):
    """The workspace's state cannot be read or written (disk full, no permission, unreachable)."""


class StorageUnavailable(MlopsError):
    """A folder or storage account cannot be reached or read for now; trying again may help."""


def suggest(name: str, known: Iterable[str]) -> str | None:
    """A remedy that names the nearest of the known names, or all of them where few; else None."""
    names = sorted(known)
    if not names:
        return None
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"Known here: {shown}."


def _short_path(file: Path) -> str:
    """The shorter of the absolute path and the one relative to the current directory."""
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)
