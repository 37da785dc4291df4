"""A YAML file with the line of everything in it, and its mistakes as problems.

YAML 1.1, as PyYAML and therefore the official loader read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlops_dagster.aml.expectations import expectation, is_consequence, remedy_of
from mlops_dagster.errors import InvalidDocument, Problem, suggest

Loc = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 100
_MAX_PARTS = 100_000


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, with the line of every part.

    Attributes:
        path: absolute.
        data: mappings, lists and scalars.
        lines: line (from 1) of each key or item, by its path from the root.
    """

    path: Path
    data: Any
    lines: Mapping[Loc, int]

    def line(self, loc: Loc) -> int:
        """The line of ``loc``, or of the nearest thing around it that the file has."""
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.lines:
                return self.lines[loc[:end]]
        return 1

    def problem(self, loc: Loc, message: str, remedy: str = "") -> Problem:
        """A mistake at ``loc`` of this file."""
        return Problem(self.path, self.line(loc), _dotted_path(loc), message, remedy)


def read_document(path: Path) -> Document:
    """Read one YAML file whose root is a mapping.

    Raises InvalidDocument where the file is missing, is not UTF-8, is not YAML, has a key twice,
    holds a NUL character or is not a mapping.
    """
    path = path.absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = "Check the path." if path.parent.is_dir() else f"No folder {path.parent}."
        raise InvalidDocument([Problem(path, 0, "", "There is no such file.", remedy)]) from None
    except IsADirectoryError:
        message = "This is a folder; a YAML file is expected."
        raise InvalidDocument([Problem(path, 0, "", message)]) from None
    except UnicodeDecodeError as error:
        message = f"This is not a UTF-8 text file (byte {error.start})."
        raise InvalidDocument([Problem(path, 0, "", message)]) from None
    except OSError as error:
        message = f"The file cannot be read: {error.strerror}."
        raise InvalidDocument([Problem(path, 0, "", message)]) from None
    root, data = _parse(path, text)
    lines: dict[Loc, int] = {}
    problems: list[Problem] = []
    if root is not None:
        _index(path, root, lines, problems)
    if problems:
        raise InvalidDocument(problems)
    if not isinstance(data, dict):
        found = "empty" if data is None else f"a {_type_name(data)}"
        message = f"The file is {found}; a mapping of fields is expected."
        raise InvalidDocument([Problem(path, 1, "", message)])
    return Document(path, data, lines)


def parse_model(model: type[Model], document: Document, data: Any, loc: Loc = ()) -> Model:
    """Parse the part of the document at ``loc`` as a pydantic model.

    Raises InvalidDocument with every mistake in it.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidDocument(
            _problem(model, document, loc, detail)
            for detail in error.errors(include_url=False)
            if not is_consequence(detail)
        ) from None


def is_file(path: Path | str) -> bool:
    """Whether a file is there; a name that no file can have is no error."""
    return os.path.isfile(path)  # noqa: PTH113  # Path.is_file raises for an overlong name


def is_folder(path: Path | str) -> bool:
    """Whether a folder is there; a name that no folder can have is no error."""
    return os.path.isdir(path)  # noqa: PTH112  # as above


def short_repr(value: Any) -> str:
    """A value for a message: its Python text, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problem(model: type[BaseModel], document: Document, loc: Loc, detail: ErrorDetails) -> Problem:
    where = loc + tuple(part for part in detail["loc"] if part != "[key]")
    found = detail["input"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = _fields_at(model, detail["loc"][:-1])
        remedy = suggest(str(detail["loc"][-1]), known) or "Remove it."
        return document.problem(where, "There is no such field.", remedy)
    if kind == "missing":
        return document.problem(where, "This field is required.", "Add it.")
    if kind in ("value_error", "assertion_error"):
        return document.problem(where, detail["msg"].partition(", ")[2] or detail["msg"])
    message = f"Found {short_repr(found)}; expected {expectation(detail)}."
    return document.problem(where, message, remedy_of(detail))


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The names of the fields that the model has at ``loc``, as far as annotations tell."""
    current: Any = model
    for part in loc:
        current = _inner_annotation(current, part)
    found = _model_in(current)
    fields = found.model_fields if found is not None else {}
    return [field.alias or name for name, field in fields.items()]


def _inner_annotation(annotation: Any, part: str | int) -> Any:
    """The annotation of a field, value or item of what is annotated so."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        named = {field.alias or name: field for name, field in fields.items()}
        return named[str(part)].annotation if part in named else None
    arguments: tuple[Any, ...] = getattr(annotation, "__args__", ())
    if getattr(annotation, "__origin__", None) in (dict, list, tuple, set, frozenset):
        return arguments[1] if annotation.__origin__ is dict else arguments[0]
    found = (_inner_annotation(argument, part) for argument in arguments)
    return next((each for each in found if each is not None), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _parse(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML text, which have lines, and the data that they make."""
    loader = None
    try:
        _refuse_deep_nesting(path, text)
        loader = _Loader(text)
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise InvalidDocument([_syntax_problem(path, error)]) from None
    except (RecursionError, ValueError, OverflowError) as error:
        message = f"This YAML cannot be read: {error}."
        raise InvalidDocument([Problem(path, 0, "", message)]) from None
    finally:
        if loader is not None:
            loader.dispose()


def _refuse_deep_nesting(path: Path, text: str) -> None:
    """Refuse what would end the interpreter: libyaml composes nested nodes by recursion in C."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                message = f"This is nested more than {_MAX_DEPTH} levels deep."
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise InvalidDocument([Problem(path, line, "", message, "Flatten it.")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _index(path: Path, root: yaml.Node, lines: dict[Loc, int], problems: list[Problem]) -> None:
    """Fill in the line of everything below ``root``, aliases followed, and collect problems."""
    waiting: list[tuple[yaml.Node, Loc, tuple[int, ...]]] = [(root, (), ())]
    while waiting:
        node, loc, around = waiting.pop()
        line = node.start_mark.line + 1
        lines.setdefault(loc, line)
        if id(node) in around:
            message = "This alias refers to something that contains it."
            raise InvalidDocument(
                [Problem(path, lines[loc], _dotted_path(loc), message, "Write it out.")]
            )
        if len(lines) > _MAX_PARTS:
            message = f"With its aliases written out this has more than {_MAX_PARTS:,} parts."
            raise InvalidDocument(
                [Problem(path, line, _dotted_path(loc), message, "Split the file.")]
            )
        if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
            message = "This text holds a NUL character, which no process can be given."
            problems.append(Problem(path, line, _dotted_path(loc), message, "Take \\0 out."))
        if isinstance(node, yaml.MappingNode):
            for key, value in _sorted_own_first(node):
                inner = (*loc, str(key.value))
                if inner in lines and not _is_own(key, node):
                    continue
                if inner in lines and key.value != "<<":
                    message = f"The key {key.value!r} is given a second time."
                    remedy = f"It is given on line {lines[inner]} already; keep one of them."
                    at = key.start_mark.line + 1
                    problems.append(Problem(path, at, _dotted_path(inner), message, remedy))
                    continue
                lines[inner] = key.start_mark.line + 1
                waiting.append((value, inner, (*around, id(node))))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [
                (item, (*loc, position), (*around, id(node)))
                for position, item in enumerate(node.value)
            ]


def _sorted_own_first(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    """The entries of a mapping, those that `<<` brings into it last: its own stand before them."""
    return sorted(node.value, key=lambda entry: not _is_own(entry[0], node))


def _is_own(key: yaml.Node, node: yaml.MappingNode) -> bool:
    begin, end = node.start_mark, node.end_mark
    return bool(begin.index <= key.start_mark.index < end.index)


def _dotted_path(loc: Loc) -> str:
    return ".".join(map(str, loc))


def _syntax_problem(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 0
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Problem(
        path, line, "", f"This is not valid YAML: {reason}.", "Check quotes and indents."
    )


def _type_name(value: Any) -> str:
    return {list: "list", str: "text", int: "number", float: "number", bool: "boolean"}.get(
        type(value), type(value).__name__
    )
