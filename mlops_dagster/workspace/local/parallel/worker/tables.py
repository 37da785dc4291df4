"""A mini batch of a table as a pandas DataFrame: slices of CSV and JSON lines, row groups of Parquet."""

from __future__ import annotations

import io
import json
import os
from typing import Any


def load(table: dict[str, Any]) -> Any:
    """The rows that ``table`` describes.

    Keys of ``table``: ``format`` (``delimited``, ``json_lines`` or ``parquet``), ``options`` of the
    format, ``pieces`` (each a ``path`` with ``start`` and ``end`` in bytes, or with row ``groups``,
    and the ``columns`` that its path tells), ``dtypes``: how columns are read, ``keep`` and
    ``drop`` columns, ``types`` that columns are converted to, and ``where``: the rows whose columns
    have these values, nulls included.
    """
    import pandas as pd

    frames = [read_piece(table, piece) for piece in table["pieces"]]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    if not len(frame.columns):
        return frame
    for column, kind in (table.get("types") or {}).items():
        frame[column] = _converted(pd, frame[column], kind)
    for column, value in (table.get("where") or {}).items():
        chosen = frame[column].isna() if value is None else frame[column] == value
        frame = frame[chosen.fillna(False).astype(bool)]
    if table.get("keep"):
        frame = frame[table["keep"]]
    if table.get("drop"):
        frame = frame.drop(columns=table["drop"])
    return frame.reset_index(drop=True)


def read_piece(table: dict[str, Any], piece: dict[str, Any]) -> Any:
    """The rows of one piece of a table, with the columns that its path tells."""
    import pandas as pd

    reader = {"delimited": _delimited, "json_lines": _json_lines, "parquet": _parquet}
    frame = reader[table["format"]](pd, table, piece)
    if not len(frame.columns):
        return frame
    if table["options"].get("include_path_column"):
        frame.insert(0, "Path", piece["path"])
    for column, (kind, value) in (piece.get("columns") or {}).items():
        frame[column] = pd.Timestamp(value) if kind == "datetime" else value
    return frame


def _delimited(pd: Any, table: dict[str, Any], piece: dict[str, Any]) -> Any:
    options = table["options"]
    dtypes: Any = dict(table.get("dtypes") or {})
    if options.get("infer_column_types") is False:
        dtypes = str
    else:
        # What is to be converted is read as it was written: 007 as a string is not 7.
        dtypes.update(dict.fromkeys(table.get("types") or (), str))
    common = {
        "sep": options.get("delimiter") or ",",
        "encoding": options.get("encoding") or "utf-8-sig",
        "keep_default_na": not options.get("empty_as_string"),
        "encoding_errors": "strict",
        "low_memory": False,
    }
    body = _slice(piece)
    if options.get("headless"):
        if not body.strip():
            return pd.DataFrame()
        first = pd.read_csv(io.BytesIO(body), header=None, nrows=1, **common)
        names = [f"Column{number}" for number in range(1, len(first.columns) + 1)]
        return pd.read_csv(io.BytesIO(body), header=None, names=names, dtype=dtypes, **common)
    if piece["start"] or piece.get("header_of"):
        body = _first_line(piece.get("header_of") or piece["path"]) + body
    if not body.strip():
        return pd.DataFrame()
    return pd.read_csv(io.BytesIO(body), dtype=dtypes, **common)


def _json_lines(pd: Any, table: dict[str, Any], piece: dict[str, Any]) -> Any:
    encoding = table["options"].get("encoding") or "utf-8"
    lines = _slice(piece).decode(encoding).split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    dtypes = table.get("dtypes") or {}
    frame = pd.DataFrame(rows, columns=list(dtypes)) if dtypes else pd.DataFrame(rows)
    for name, kind in dtypes.items():
        # Text is as pandas makes it, of whichever version; a slice may have none of it.
        if kind != "str" or frame[name].isna().all():
            frame[name] = frame[name].astype("object" if kind == "str" else kind)
    return frame


def _parquet(pd: Any, table: dict[str, Any], piece: dict[str, Any]) -> Any:
    import pyarrow.parquet as pq

    groups = piece.get("groups")
    if groups is None:
        frame = pd.read_parquet(piece["path"])
    else:
        with pq.ParquetFile(piece["path"]) as file:
            frame = file.read_row_groups(groups).to_pandas()
    dtypes = table.get("dtypes") or {}
    return frame.astype({name: kind for name, kind in dtypes.items() if name in frame.columns})


def _slice(piece: dict[str, Any]) -> bytes:
    """The lines that begin in ``start <= position < end``."""
    start, end = piece["start"], piece["end"]
    with open(piece["path"], "rb") as file:  # noqa: PTH123 - a name that is not UTF-8 is fine here
        if start:
            file.seek(start - 1)
            file.readline()
        body = file.read(max(end - file.tell(), 0)) if end is not None else file.read()
        if end is not None and body and not body.endswith(b"\n"):
            body += file.readline()
        return body


def _first_line(path: str) -> bytes:
    with open(os.fsencode(path), "rb") as file:  # noqa: PTH123
        line = file.readline()
    return line if line.endswith(b"\n") else line + b"\n"


def _converted(pd: Any, column: Any, kind: str) -> Any:
    if kind == "datetime":
        return pd.to_datetime(column)
    if kind == "boolean":
        return column.map(_boolean, na_action="ignore")
    if kind == "string":
        return column.astype("string")
    numbers = pd.to_numeric(column)
    return numbers.astype("Int64" if kind == "int" else "float64")


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "1", "1.0", "yes"):
        return True
    if text in ("false", "0", "0.0", "no"):
        return False
    raise ValueError(f"{value!r} is not a boolean")
