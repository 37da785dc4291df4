"""Problems collected while a project is read, so that all of them are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlops_dagster.aml.document import Document, Loc
from mlops_dagster.errors import InvalidDocument, Problem, suggest


@dataclass
class ProblemCollector:
    """The problems found so far, in ``project.yaml`` and in the files that it names."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def add(self, loc: Loc, message: str, remedy: str = "") -> None:
        """A mistake at ``loc`` of project.yaml."""
        self.problems.append(self.document.problem(loc, message, remedy))

    def add_unknown(self, loc: Loc, message: str, name: str, known: Iterable[str]) -> None:
        """A name that does not exist; the nearest of those that do is the remedy."""
        self.add(loc, message, suggest(name, known) or "")

    def existing_file(self, loc: Loc, name: str) -> Path | None:
        """The file that project.yaml names at ``loc``; None, and a mistake, where it is missing."""
        folder = self.document.path.parent
        file = (folder / name).resolve()
        if file.is_file():
            return file
        found = "a folder" if file.is_dir() else "not there"
        self.add_unknown(
            loc, f"The file {name!r} is {found}.", name, _similar_files(folder, file.suffix)
        )
        return None

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep the problems of another file and go on."""
        try:
            yield
        except InvalidDocument as error:
            self.problems.extend(error.problems)


def _similar_files(folder: Path, suffix: str) -> list[str]:
    """The project's files of the same kind, by their paths in it."""
    inside = (each.relative_to(folder) for each in folder.rglob(f"*{suffix}"))
    return [
        each.as_posix() for each in inside if not any(part.startswith(".") for part in each.parts)
    ]
