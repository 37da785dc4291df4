"""A part of a document, read field by field; what is wrong with it is noted, not raised."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from mlops_dagster.aml.bindings import bindings
from mlops_dagster.aml.document import Document, Loc, read_document, shown
from mlops_dagster.errors import InvalidDocument, Problem, suggest

Found = TypeVar("Found")


@dataclass
class Reading:
    """One call of a loader: the files it has read, and every mistake in them.

    Attributes:
        opened: the files that are being read, outermost first.
        made: what was already made of a file, by its path.
    """

    problems: list[Problem] = field(default_factory=list)
    opened: list[Path] = field(default_factory=list)
    made: dict[Path, Any] = field(default_factory=dict)
    documents: dict[Path, Document | None] = field(default_factory=dict)

    def document(self, path: Path) -> Document | None:
        """The file at ``path``; None, with the reason noted, where it cannot be read."""
        if path not in self.documents:
            try:
                self.documents[path] = read_document(path)
            except InvalidDocument as error:
                self.problems += error.problems
                self.documents[path] = None
        return self.documents[path]

    def finish(self, found: Found | None) -> Found:
        """What was read. Raises InvalidDocument where anything was wrong."""
        if self.problems or found is None:
            raise InvalidDocument(self.problems)
        return found


@dataclass(frozen=True)
class Part:
    """A mapping, list or scalar of a document, and where it stands."""

    document: Document
    data: Any
    loc: Loc
    reading: Reading

    @classmethod
    def root(cls, document: Document, reading: Reading) -> Part:
        """The whole of a document."""
        return cls(document, document.data, (), reading)

    @property
    def folder(self) -> Path:
        """What relative paths in this document start from."""
        return self.document.path.parent

    @property
    def name(self) -> str:
        """The last part of its own path."""
        return str(self.loc[-1]) if self.loc else ""

    @property
    def given(self) -> bool:
        """Whether anything but null stands here."""
        return self.data is not None

    def problem(self, message: str, remedy: str | None = None) -> None:
        """Note a mistake at this place."""
        self.reading.problems.append(self.document.problem(self.loc, message, remedy or ""))

    def wrong(self, expected: str, remedy: str | None = None) -> None:
        """Note that something else was expected here."""
        self.problem(f"Found {shown(self.data)}; expected {expected}.", remedy)

    def at(self, key: str | int) -> Part:
        """The field or item ``key``, whose data is None where there is none."""
        data = None
        if isinstance(self.data, dict):
            data = self.data.get(key)
        elif isinstance(self.data, list) and isinstance(key, int) and key < len(self.data):
            data = self.data[key]
        return Part(self.document, data, (*self.loc, key), self.reading)

    def has(self, key: str) -> bool:
        """Whether it is a mapping with this field, null or not."""
        return isinstance(self.data, dict) and key in self.data

    def is_mapping(self) -> bool:
        """Whether it is a mapping; anything else but nothing is noted as a mistake."""
        if isinstance(self.data, dict):
            return True
        if self.given:
            self.wrong("a mapping of fields")
        return False

    def fields(self, known: Iterable[str], *, closed: bool = True) -> None:
        """Note the fields that are not ``known``.

        Args:
            closed: the Azure tools refuse what they do not know here. Where they ignore it, only
                what looks like a misspelt field is noted.
        """
        if not isinstance(self.data, dict):
            return
        names = {*known, "$schema", "creation_context", "id"}
        for key in self.data:
            if key in names:
                continue
            part = self.at(key)
            near = _nearest(str(key), names)
            if near or closed:
                part.problem("There is no such field here.", near or suggest(str(key), known))

    def entries(self, key: str | None = None) -> Iterator[tuple[str, Part]]:
        """The fields of a mapping whose keys are free names, such as ``inputs``."""
        part = self if key is None else self.at(key)
        if not part.is_mapping():
            return
        for name in part.data:
            if isinstance(name, str):
                yield name, part.at(name)
            elif isinstance(name, int | float) and not isinstance(name, bool):
                yield (
                    str(name),
                    Part(part.document, part.data[name], (*part.loc, str(name)), part.reading),
                )
            else:
                part.problem(f"Found the key {shown(name)}; expected text.", "Put it in quotes.")

    def items(self, key: str) -> list[Part]:
        """The items of a list; nothing where there is none."""
        part = self.at(key)
        if part.given and not isinstance(part.data, list):
            part.wrong("a list")
            return []
        return [part.at(position) for position in range(len(part.data or ()))]

    def required(self, key: str) -> Part:
        """The field ``key``; its absence is noted."""
        part = self.at(key)
        if not part.given:
            part.problem("This field is required.", f"Add {key!r}.")
        return part

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
        if self.given:
            self.wrong("text")
        return None

    def choice(
        self, key: str, allowed: Iterable[str], *, aliases: dict[str, str] | None = None
    ) -> str | None:
        """One of ``allowed`` in any case; None where there is none."""
        part = self.at(key)
        text = part.as_text()
        if text is None:
            return None
        names = {name.lower(): name for name in allowed} | (aliases or {})
        if text.lower() in names:
            return names[text.lower()]
        part.problem(
            f"Found {shown(text)}; expected one of {', '.join(sorted(set(names.values())))}.",
            _nearest(text, names.values()),
        )
        return None

    def integer(self, key: str) -> int | None:
        """A whole number, also as text."""
        found = self.at(key).as_integer()
        if isinstance(found, str):
            self.at(key).wrong("a whole number")
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
        if self.given:
            self.wrong("a whole number")
        return None

    def number(self, key: str) -> float | None:
        """A number, also as text."""
        part = self.at(key)
        try:
            if part.given and not isinstance(part.data, bool):
                return float(part.data)
        except (TypeError, ValueError, OverflowError):
            pass
        if part.given:
            part.wrong("a number")
        return None

    def boolean(self, key: str, *, default: bool) -> bool:
        """True or false, also as text."""
        part = self.at(key)
        if isinstance(part.data, bool):
            return part.data
        if isinstance(part.data, str) and part.data.lower() in ("true", "false"):
            return part.data.lower() == "true"
        if part.given:
            part.wrong("true or false")
        return default

    def labels(self, key: str) -> dict[str, str | None]:
        """A mapping of names to text or null, such as ``tags``; anything longer as its text."""
        return {
            name: str(part.data) if isinstance(part.data, dict | list) else part.as_text()
            for name, part in self.entries(key)
        }

    def mapping(self, key: str | None = None) -> dict[str, Any]:
        """A mapping as it is, with text as keys; empty where there is none."""
        return {name: part.data for name, part in self.entries(key)}

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of text."""
        return tuple(text for item in self.items(key) if (text := item.as_text()) is not None)


def _nearest(text: str, names: Iterable[str]) -> str | None:
    near = get_close_matches(text, list(names), n=1, cutoff=0.75)
    return f"Did you mean {near[0]!r}?" if near else None
