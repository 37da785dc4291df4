"""Data in the forms of `az`: JSON, YAML, tab-separated values, or a table of what a query chose."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mlops_dagster.cli.output import console, visible
from mlops_dagster.cli.tables import print_table
from mlops_dagster.errors import InvalidRequest

if TYPE_CHECKING:
    from jmespath.parser import ParsedResult


class Format(StrEnum):
    """The forms of ``az`` in which data is printed (learn.microsoft.com/cli/azure/format-output-azure-cli)."""

    JSON = "json"
    JSONC = "jsonc"
    NONE = "none"
    TABLE = "table"
    TSV = "tsv"
    YAML = "yaml"
    YAMLC = "yamlc"


def print_data(value: Any, form: Format) -> None:
    """Print a value in a form; ``jsonc`` and ``yamlc`` are coloured on a terminal."""
    data = plain(value)
    match form:
        case Format.JSON:
            print(_json(data))
        case Format.JSONC:
            console().print_json(_json(data), indent=2)
        case Format.YAML:
            print(yaml_of(data), end="")
        case Format.YAMLC:
            _print_coloured_yaml(yaml_of(data))
        case Format.TSV:
            for line in _tsv_lines(data):
                print(line)
        case Format.TABLE:
            _print_as_table(data)
        case Format.NONE:
            pass


def parse_query(text: str) -> ParsedResult:
    """A JMESPath query (jmespath.org). Raises InvalidRequest."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(text)
    except JMESPathError as error:
        reason = " ".join(str(error).split())
        raise InvalidRequest(
            f"--query is no JMESPath query: {reason}",
            remedy="""For example: --query "[].{name: name, status: status}" (see jmespath.org)""",
        ) from None


def query_result(query: ParsedResult, value: Any) -> Any:
    """What a query chooses of a value. Raises InvalidRequest where the value has another type."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        # Keys stay in the order in which the query names them.
        return query.search(plain(value), options=jmespath.Options(dict_cls=dict))
    except JMESPathError as error:
        raise InvalidRequest(f"--query cannot be answered: {error}") from None


def plain(value: Any) -> Any:
    """A value as what JSON has: mappings, lists, text, numbers.

    Times become ISO 8601; a number that JSON cannot say becomes ``"NaN"``, ``"Infinity"`` or
    ``"-Infinity"`` (as in protobuf.dev/programming-guides/json).
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, allow_nan=False)


def yaml_of(data: Any) -> str:
    """A value as YAML."""
    import yaml

    return yaml.safe_dump(
        plain(data), sort_keys=False, allow_unicode=False, default_flow_style=False
    )


def _print_coloured_yaml(text: str) -> None:
    from rich.syntax import Syntax

    console().print(Syntax(text.rstrip("\n"), "yaml", background_color="default", word_wrap=True))


def _tsv_lines(data: Any) -> Iterable[str]:
    """A line for each item, as ``az`` writes it: ``None`` and ``True`` are Python's words there."""
    if data is None:
        return
    if isinstance(data, bool):
        yield str(data).lower()
        return
    for row in data if isinstance(data, list) else [data]:
        if isinstance(row, Mapping):
            yield "\t".join(map(_tsv_cell, row.values()))
        elif isinstance(row, list):
            yield "\t".join(map(_tsv_cell, row))
        else:
            yield _tsv_cell(row)


def _tsv_cell(value: Any) -> str:
    """A mapping within a row is left empty, of a list its length is written."""
    if isinstance(value, Mapping):
        return ""
    if isinstance(value, list):
        return str(len(value))
    return visible(str(value))


def _print_as_table(data: Any) -> None:
    """What a query chose: a row an item, a column a key; mappings and lists are left out."""
    if data is None:
        return
    rows = [_table_row(row) for row in (data if isinstance(data, list) else [data])]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    print_table(columns, [[row.get(column) for column in columns] for row in rows], empty="")


def _table_row(row: Any) -> dict[str, Any]:
    if isinstance(row, list):
        row = {f"Column{number}": cell for number, cell in enumerate(row, 1)}
    if not isinstance(row, Mapping):
        return {"Result": row}
    return {key: cell for key, cell in row.items() if not isinstance(cell, Mapping | list)}
