"""A YAML document as nodes that are read field by field; mistakes are collected, not raised."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from mlops_dagster.aml.bindings import bindings
from mlops_dagster.aml.document import Document, Loc, read_document, short_repr
from mlops_dagster.aml.names import (
    NAME_REMEDY,
    VERSION_REMEDY,
    is_asset_name,
    is_asset_version,
)
from mlops_dagster.errors import InvalidDocument, Problem, suggest

Loaded = TypeVar("Loaded")


@dataclass
class LoadSession:
    """One call of a loader: the files that it has read, and every mistake in them.

    Attributes:
        problems: the mistakes found so far.
        warnings: what Azure ML's own tools pass over, and this loader too.
        overrides: the fields that ``--set`` replaced, whose mistakes are never passed over.
        open_files: the files that are being read, outermost first.
        components: the components already read, by the path of their file.
        documents: the files already read; None for one that cannot be read.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    overrides: tuple[Loc, ...] = ()
    open_files: list[Path] = field(default_factory=list)
    components: dict[Path, Any] = field(default_factory=dict)
    documents: dict[Path, Document | None] = field(default_factory=dict)

    def document(self, path: Path) -> Document | None:
        """The file at ``path``; None, with its problems added, where it cannot be read."""
        if path not in self.documents:
            try:
                self.documents[path] = read_document(path)
            except InvalidDocument as error:
                self.problems += error.problems
                self.documents[path] = None
        return self.documents[path]

    def finish(self, found: Loaded | None) -> Loaded:
        """What was read. Raises InvalidDocument where there is any problem."""
        if self.problems or found is None:
            raise InvalidDocument(self.problems)
        return found


@dataclass(frozen=True)
class Node:
    """A mapping, list or scalar of a YAML document, with its file and line."""

    document: Document
    data: Any
    loc: Loc
    session: LoadSession

    @classmethod
    def root(cls, document: Document, session: LoadSession) -> Node:
        """The root of a document."""
        return cls(document, document.data, (), session)

    @property
    def folder(self) -> Path:
        """The folder from which relative paths in this document start."""
        return self.document.path.parent

    @property
    def name(self) -> str:
        """Its own key; empty for the root."""
        return str(self.loc[-1]) if self.loc else ""

    @property
    def is_set(self) -> bool:
        """Whether the file gives it a value other than null."""
        return self.data is not None

    def add_problem(self, message: str, remedy: str | None = None) -> None:
        """Add a mistake at this node."""
        self.session.problems.append(self.document.problem(self.loc, message, remedy or ""))

    def add_warning(self, message: str, remedy: str | None = None) -> None:
        """Add that this node is passed over; a mistake where ``--set`` made it."""
        if any(loc[: len(self.loc)] == self.loc for loc in self.session.overrides):
            self.add_problem(message, remedy)
        else:
            self.session.warnings.append(self.document.problem(self.loc, message, remedy or ""))

    def add_mismatch(self, expected: str, remedy: str | None = None) -> None:
        """Add a mistake that says what was found here and what was expected."""
        self.add_problem(f"Found {short_repr(self.data)}; expected {expected}.", remedy)

    def at(self, key: str | int) -> Node:
        """The field or item ``key``, whose data is None where there is none."""
        data = None
        if isinstance(self.data, dict):
            data = self.data.get(key)
        elif isinstance(self.data, list) and isinstance(key, int) and key < len(self.data):
            data = self.data[key]
        return Node(self.document, data, (*self.loc, key), self.session)

    def has(self, key: str) -> bool:
        """Whether it is a mapping with this field, null or not."""
        return isinstance(self.data, dict) and key in self.data

    def expect_mapping(self) -> bool:
        """Whether it is a mapping; any other value but null adds a mistake."""
        if isinstance(self.data, dict):
            return True
        if self.is_set:
            self.add_mismatch("a mapping of fields")
        return False

    def check_fields(self, known: Iterable[str], *, closed: bool = True) -> None:
        """Add a mistake for every field that is not ``known``.

        Args:
            closed: whether every unknown field is a mistake. Where the Azure tools ignore such
                fields, only those that look like a misspelt field are.
        """
        if not isinstance(self.data, dict):
            return
        names = {*known, "$schema", "creation_context", "id"}
        for key in self.data:
            if key in names:
                continue
            node = self.at(key)
            near = _near_name(str(key), names)
            if near or closed:
                node.add_problem("There is no such field here.", near or suggest(str(key), known))

    def warn_of_unknown_fields(self, known: Iterable[str]) -> None:
        """Add a warning for every field that is not ``known``, as the Azure tools ignore it."""
        for name, entry in self.entries():
            if name not in known:
                remedy = _near_name(name, known) or suggest(name, known)
                entry.add_warning("There is no such field here; it has no effect.", remedy)

    def entries(self, key: str | None = None) -> Iterator[tuple[str, Node]]:
        """The fields of a mapping whose keys are free names, such as ``inputs``."""
        node = self if key is None else self.at(key)
        if not node.expect_mapping():
            return
        for name in node.data:
            if isinstance(name, str):
                yield name, node.at(name)
            elif isinstance(name, int | float) and not isinstance(name, bool):
                yield (
                    str(name),
                    Node(node.document, node.data[name], (*node.loc, str(name)), node.session),
                )
            else:
                node.add_problem(
                    f"Found the key {short_repr(name)}; expected text.", "Put it in quotes."
                )

    def items(self, key: str) -> list[Node]:
        """The items of a list; nothing where there is none."""
        node = self.at(key)
        if node.is_set and not isinstance(node.data, list):
            node.add_mismatch("a list")
            return []
        return [node.at(position) for position in range(len(node.data or ()))]

    def required(self, key: str) -> Node:
        """The field ``key``; a mistake is added where it is missing."""
        node = self.at(key)
        if not node.is_set:
            node.add_problem("This field is required.", f"Add {key!r}.")
        return node

    def text(self, key: str) -> str | None:
        """Text, or another scalar as text; None where there is none."""
        return self.at(key).as_text()

    def as_text(self) -> str | None:
        if isinstance(self.data, str):
            return self.data
        if isinstance(self.data, bool):
            return str(self.data).lower()
        if isinstance(self.data, int | float):
            return str(self.data)
        if isinstance(self.data, datetime.datetime | datetime.date):
            return self.data.isoformat()
        if self.is_set:
            self.add_mismatch("text")
        return None

    def choice(
        self, key: str, allowed: Iterable[str], *, aliases: dict[str, str] | None = None
    ) -> str | None:
        """One of ``allowed`` in any case; None where there is none."""
        node = self.at(key)
        text = node.as_text()
        if text is None:
            return None
        names = {name.lower(): name for name in allowed} | (aliases or {})
        if text.lower() in names:
            return names[text.lower()]
        node.add_problem(
            f"Found {short_repr(text)}; expected one of {', '.join(sorted(set(names.values())))}.",
            _near_name(text, names.values()),
        )
        return None

    def asset_name(self, key: str) -> str | None:
        """The name under which something is registered; a binding is left to who fills it in."""
        return self._valid_text(key, is_asset_name, "the name of an asset", NAME_REMEDY)

    def asset_version(self, key: str) -> str | None:
        """The version under which something is registered."""
        return self._valid_text(key, is_asset_version, "the version of an asset", VERSION_REMEDY)

    def _valid_text(
        self, key: str, is_valid: Callable[[str], bool], kind: str, remedy: str
    ) -> str | None:
        text = self.text(key)
        if text is not None and not bindings(text) and not is_valid(text):
            self.at(key).add_problem(f"{short_repr(text)} cannot be {kind}.", remedy)
        return text

    def integer(self, key: str) -> int | None:
        """A whole number, also as text."""
        found = self.at(key).as_integer()
        if isinstance(found, str):
            self.at(key).add_mismatch("a whole number")
            return None
        return found

    def bound_integer(self, key: str) -> int | str | None:
        """A whole number, or a binding that becomes one."""
        return self.at(key).as_integer()

    def as_integer(self) -> int | str | None:
        data = self.data
        if isinstance(data, str) and bindings(data):
            return data
        try:
            if not isinstance(data, bool) and data is not None and float(data) == int(float(data)):
                return int(float(data)) if not isinstance(data, int) else data
        except (TypeError, ValueError, OverflowError):
            pass
        if self.is_set:
            self.add_mismatch("a whole number")
        return None

    def number(self, key: str) -> float | None:
        """A number, also as text."""
        node = self.at(key)
        try:
            if node.is_set and not isinstance(node.data, bool):
                return float(node.data)
        except (TypeError, ValueError, OverflowError):
            pass
        if node.is_set:
            node.add_mismatch("a number")
        return None

    def boolean(self, key: str, *, default: bool) -> bool:
        """True or false, also as text."""
        node = self.at(key)
        if isinstance(node.data, bool):
            return node.data
        if isinstance(node.data, str) and node.data.lower() in ("true", "false"):
            return node.data.lower() == "true"
        if node.is_set:
            node.add_mismatch("true or false")
        return default

    def labels(self, key: str) -> dict[str, str | None]:
        """A mapping of names to text or null, such as ``tags``; anything longer as its text."""
        return {
            name: str(node.data) if isinstance(node.data, dict | list) else node.as_text()
            for name, node in self.entries(key)
        }

    def mapping(self, key: str | None = None) -> dict[str, Any]:
        """A mapping as it is, with text as keys; empty where there is none."""
        return {name: node.data for name, node in self.entries(key)}

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of text."""
        return tuple(text for item in self.items(key) if (text := item.as_text()) is not None)


def _near_name(text: str, names: Iterable[str]) -> str | None:
    near = get_close_matches(text, list(names), n=1, cutoff=0.75)
    return f"Did you mean {near[0]!r}?" if near else None
