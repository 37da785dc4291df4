"""A mini batch of a table as a pandas DataFrame: slices of CSV and JSON lines, row groups of Parquet."""

from __future__ import annotations

import io
import os
from typing import Any


def load(table: dict[str, Any]) -> Any:
    """The rows that ``table`` describes.

    Keys of ``table``: ``format`` (``delimited``, ``json_lines`` or ``parquet``), ``options`` of the
    format, ``pieces`` (each a ``path`` with ``start`` and ``end`` in bytes, or with row ``groups``,
    and the ``columns`` that its path tells), ``keep`` and ``drop`` columns, ``types`` of columns,
    and ``where``: the rows whose columns have these values, nulls included.
    """
    import pandas as pd

    frames = [_piece(pd, table, piece) for piece in table["pieces"]]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    if not len(frame.columns):
        return frame
    for column, value in (table.get("where") or {}).items():
        chosen = frame[column].isna() if value is None else frame[column] == value
        frame = frame[chosen]
    if table.get("keep"):
        frame = frame[table["keep"]]
    if table.get("drop"):
        frame = frame.drop(columns=table["drop"])
    for column, kind in (table.get("types") or {}).items():
        frame[column] = _converted(pd, frame[column], kind)
    return frame.reset_index(drop=True)


def _piece(pd: Any, table: dict[str, Any], piece: dict[str, Any]) -> Any:
    reader = {"delimited": _delimited, "json_lines": _json_lines, "parquet": _parquet}
    frame = reader[table["format"]](pd, piece, table["options"])
    if not len(frame.columns):
        return frame
    if table["options"].get("include_path_column"):
        frame.insert(0, "Path", piece["path"])
    for column, (kind, value) in (piece.get("columns") or {}).items():
        frame[column] = pd.Timestamp(value) if kind == "datetime" else value
    return frame


def _delimited(pd: Any, piece: dict[str, Any], options: dict[str, Any]) -> Any:
    encoding = options.get("encoding") or "utf-8-sig"
    common = {
        "sep": options.get("delimiter") or ",",
        "encoding": encoding,
        "keep_default_na": not options.get("empty_as_string"),
        "dtype": str if options.get("infer_column_types") is False else None,
        "encoding_errors": "strict",
    }
    body = _slice(piece)
    if options.get("headless"):
        frame = (
            pd.read_csv(io.BytesIO(body), header=None, **common) if body.strip() else pd.DataFrame()
        )
        frame.columns = [f"Column{number}" for number in range(1, len(frame.columns) + 1)]
        return frame
    if piece["start"] or piece.get("header_of"):
        body = _first_line(piece.get("header_of") or piece["path"]) + body
    return pd.read_csv(io.BytesIO(body), **common) if body.strip() else pd.DataFrame()


def _json_lines(pd: Any, piece: dict[str, Any], options: dict[str, Any]) -> Any:
    return pd.read_json(
        io.BytesIO(_slice(piece)), lines=True, encoding=options.get("encoding") or "utf-8"
    )


def _parquet(pd: Any, piece: dict[str, Any], _: dict[str, Any]) -> Any:
    groups = piece.get("groups")
    if groups is None:
        return pd.read_parquet(piece["path"])
    import pyarrow.parquet as pq

    with pq.ParquetFile(piece["path"]) as file:
        return file.read_row_groups(groups).to_pandas()


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
        return column.map(_boolean)
    plain = {"int": "Int64", "float": "float64", "string": "string"}
    return column.astype(plain[kind])


def _boolean(value: Any) -> Any:
    known: list[str] = ["true", "1", "1.0", "yes"]
    return str(value).strip().lower() in known
