"""The MLTable file: which files a table is made of and how they are read.

Source: "CLI (v2) mltable YAML schema"
(learn.microsoft.com/azure/machine-learning/reference-yaml-mltable).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.parallel.listing import InputFile, files_below

_READERS: dict[str, Literal["delimited", "parquet", "json_lines"]] = {
    "read_delimited": "delimited",
    "read_parquet": "parquet",
    "read_json_lines": "json_lines",
}
_ENCODINGS = {
    "utf8": "utf-8-sig",
    "utf8bom": "utf-8-sig",
    "ascii": "ascii",
    "iso88591": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows1252": "cp1252",
    "utf16": "utf-16",
    "utf32": "utf-32",
}
_OPTIONS = {
    "delimiter",
    "encoding",
    "empty_as_string",
    "header",
    "include_path_column",
    "infer_column_types",
    "support_multi_line",
    "path_column",
}
_TYPES = {"int", "float", "string", "boolean", "datetime"}
_DATE_PARTS = {"yyyy": r"\d{4}", "MM": r"\d{2}", "dd": r"\d{2}", "HH": r"\d{2}", "mm": r"\d{2}", "ss": r"\d{2}"}  # fmt: skip


@dataclass
class MLTable:
    """A table, or a list of files where ``format`` is None.

    Attributes:
        folder: of the MLTable file; its paths are relative to it.
        patterns: what its ``paths`` name, relative to ``folder``; ``**`` for any folders.
        options: of the reader: ``delimiter``, ``encoding`` (as Python names it), ``header`` ...
        partition_format: matched against a file's path to tell more columns.
    """

    folder: Path
    patterns: tuple[str, ...]
    format: Literal["delimited", "parquet", "json_lines"] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    keep: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    partition_format: str | None = None

    def files(self) -> Iterator[InputFile]:
        """Its files, by name. Raises InvalidRequest where a path of it matches none."""
        matches = [re.compile(_pattern(pattern)) for pattern in self.patterns]
        unmatched = set(range(len(matches)))
        for file in files_below(self.folder):
            hits = {at for at, match in enumerate(matches) if match.fullmatch(file.relative)}
            unmatched -= hits
            if hits:
                yield file
        if unmatched:
            raise InvalidRequest(
                f"{self.folder / 'MLTable'}: no file matches {self.patterns[min(unmatched)]!r}."
            )

    def path_columns(self, relative: str) -> dict[str, tuple[str, str]]:
        """Columns that a file's path tells: name to (``string`` or ``datetime``, value)."""
        if self.partition_format is None:
            return {}
        pattern, dates = _partition_pattern(self.partition_format)
        found = re.search(pattern, "/" + relative)
        if found is None:
            raise InvalidRequest(
                f"{self.folder / 'MLTable'}: partition_format {self.partition_format!r} does not fit "
                f"the file {relative!r}."
            )
        return {
            name: ("datetime", _moment(text, dates[name])) if name in dates else ("string", text)
            for name, text in found.groupdict().items()
        }


def read_mltable(folder: Path) -> MLTable:
    """Read the MLTable file of a folder.

    Raises:
        InvalidRequest: there is none, it is not valid, or it asks for what cannot be done here.
    """
    source = folder / "MLTable"
    try:
        document = yaml.safe_load(source.read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidRequest(
            f"The input {folder} is an mltable, but has no file named MLTable.",
            remedy="Write one, or give the input the type uri_folder.",
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequest(f"{source} cannot be read: {error}.") from None
    if not isinstance(document, Mapping) or not document.get("paths"):
        raise InvalidRequest(f"{source} names no paths.")
    table = MLTable(folder, tuple(_path(source, entry) for entry in document["paths"]))
    for step in document.get("transformations") or ():
        name, value = (step, None) if isinstance(step, str) else next(iter(step.items()))
        _apply(source, table, name, value)
    return table


def _path(source: Path, entry: Any) -> str:
    if isinstance(entry, Mapping) and len(entry) == 1:
        kind, text = next(iter(entry.items()))
        clean = str(text).removeprefix("./").strip("/")
        if "://" in str(text) or Path(str(text)).is_absolute() or ".." in clean.split("/"):
            raise InvalidRequest(
                f"{source}: {text!r} lies outside of the table's folder.",
                remedy="Use paths relative to the MLTable file.",
            )
        if kind in ("file", "pattern"):
            return clean
        if kind == "folder":
            return "**" if clean in (".", "") else f"{clean}/**"
    raise InvalidRequest(f"{source}: {entry!r} is not a path; write file:, folder: or pattern:.")


def _apply(source: Path, table: MLTable, name: str, value: Any) -> None:
    if name in _READERS:
        table.format = _READERS[name]
        table.options = _options(source, name, value or {})
        return
    rules: dict[str, Callable[[], None]] = {
        "keep_columns": lambda: table.keep.extend(_names(value)),
        "drop_columns": lambda: table.drop.extend(_names(value)),
        "convert_column_types": lambda: table.types.update(_types(source, value)),
        "extract_columns_from_partition_format": lambda: setattr(
            table, "partition_format", value["partition_format"]
        ),
    }
    if name not in rules:
        raise InvalidRequest(
            f"{source}: the transformation {name!r} is not supported by the local parallel runner.",
            remedy=f"Supported: {', '.join([*_READERS, *rules])}.",
        )
    try:
        rules[name]()
    except (KeyError, TypeError, AttributeError):
        raise InvalidRequest(f"{source}: {name}: {value!r} is not valid.") from None


def _options(source: Path, reader: str, given: Any) -> dict[str, Any]:
    unknown = set(given) - _OPTIONS if isinstance(given, Mapping) else {given}
    if unknown:
        raise InvalidRequest(f"{source}: {reader}: unknown option {min(map(str, unknown))!r}.")
    options = dict(given)
    encoding = str(options.pop("encoding", "utf8"))
    if encoding not in _ENCODINGS:
        raise InvalidRequest(
            f"{source}: {reader}: unknown encoding {encoding!r}.",
            remedy=f"Known: {', '.join(_ENCODINGS)}.",
        )
    return options | {"encoding": _ENCODINGS[encoding]}


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(name) for name in value]


def _types(source: Path, value: Any) -> dict[str, str]:
    types = {}
    for rule in value:
        kind = rule["column_type"]
        name = kind if isinstance(kind, str) else next(iter(kind))
        if name not in _TYPES:
            raise InvalidRequest(
                f"{source}: convert_column_types: {name!r} is not supported by the local parallel "
                f"runner.",
                remedy=f"Supported: {', '.join(sorted(_TYPES))}.",
            )
        types.update(dict.fromkeys(_names(rule["columns"]), name))
    return types


def _pattern(pattern: str) -> str:
    """A glob as a regular expression over relative paths; ``*`` stays within a folder."""
    parts = []
    for part in pattern.split("/"):
        if part == "**":
            parts.append("(?:.*/)?")
        else:
            body = fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z")
            parts.append(body.removesuffix(r")\z").replace(".*", "[^/]*") + "/")
    joined = "".join(parts)
    return joined + "[^/]*" if parts[-1] == "(?:.*/)?" else joined.removesuffix("/")


def _partition_pattern(text: str) -> tuple[str, dict[str, str]]:
    dates: dict[str, str] = {}
    pattern = ""
    for piece in re.split(r"(\{[^}]*\})", text):
        if not piece.startswith("{"):
            pattern += re.escape(piece).replace(r"\*", "[^/]*")
            continue
        name, _, moment = piece[1:-1].partition(":")
        if not moment:
            pattern += f"(?P<{name}>[^/]+?)" if name else "[^/]*"
            continue
        dates[name] = moment
        body = re.escape(moment)
        for part, digits in _DATE_PARTS.items():
            body = body.replace(part, digits)
        pattern += f"(?P<{name}>{body})"
    return pattern + r"(?=$|/)" if text.endswith("}") else pattern, dates


def _moment(text: str, layout: str) -> str:
    """A date in a path, as ISO 8601."""
    parts = {"yyyy": "1970", "MM": "01", "dd": "01", "HH": "00", "mm": "00", "ss": "00"}
    for part in parts:
        if part in layout:
            at = layout.index(part)
            parts[part] = text[at : at + len(part)]
    return "{yyyy}-{MM}-{dd}T{HH}:{mm}:{ss}".format(**parts)
