"""Files that are out to harm their reader: each is made by a function of its path."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet


def good_parquet(rows: int = 500) -> bytes:
    table = pd.DataFrame({"key": [f"k{n}" for n in range(rows)], "value": np.arange(rows) * 1.5})
    into = io.BytesIO()
    table.to_parquet(into, index=False, compression="gzip")
    return into.getvalue()


def nested_zip() -> bytes:
    content = b"0" * 1_000_000
    for _ in range(3):
        into = io.BytesIO()
        with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner", content)
        content = into.getvalue()
    return content


def claims_many_rows() -> bytes:
    """A column of one run of nulls: tiny on disk, two billion rows when it is read."""
    into = io.BytesIO()
    schema = pa.schema([("value", pa.string())])
    with parquet.ParquetWriter(into, schema, compression="none") as writer:
        big = pa.table({"value": pa.array(["x" * 1_000_000])})
        for _ in range(3):
            writer.write_table(pa.concat_tables([big] * 1_000), row_group_size=1_000)
    return into.getvalue()


def footer_of(content: bytes, length: int) -> bytes:
    return content[:-8] + length.to_bytes(4, "little") + b"PAR1"


CONTENT: dict[str, Callable[[], bytes]] = {
    "truncated.parquet": lambda: good_parquet()[:-20],
    "half.parquet": lambda: good_parquet()[:400],
    "magic alone.parquet": lambda: b"PAR1PAR1",
    "footer too long.parquet": lambda: footer_of(good_parquet(), 2**31 - 1),
    "footer of nothing.parquet": lambda: footer_of(good_parquet(), 0),
    "is a csv.parquet": lambda: b"key,value\na,1\n",
    "no columns.parquet": lambda: _parquet(pa.table({})),
    "no rows.parquet": lambda: good_parquet(0),
    "no rows.csv": lambda: b"key,value\n",
    "no bytes.csv": lambda: b"",
    "open quote.csv": lambda: b'key,value\n"a,1\nb,2\n',
    "cut in a quoted field.csv": lambda: b'key,value\na,1\nb,"2\nc,3\n',
    "cut in a quoted header.csv": lambda: b'key,"value\na,1\n',
    "ragged.csv": lambda: b"key,value\na,1\nb\nc,1,2\n",
    "latin-1.csv": lambda: "key,value\nM\xfcller,1\n".encode("latin-1"),
    "utf-16.csv": lambda: "key,value\na,1\n".encode("utf-16"),
    "nul.csv": lambda: b"key,value\na\0,1\n",
    "binary.csv": lambda: bytes(range(256)) * 100,
    "zip.csv": nested_zip,
    "zip.zip": nested_zip,
    "gzip.csv": lambda: gzip.compress(b"key,value\na,1\n"),
    "many columns.csv": lambda: b",".join(b"c%d" % n for n in range(2_000_000)) + b"\n",
    "commas.csv": lambda: b"," * 1_000_000 + b"\n",
    "one long line.csv": lambda: b"key,value\n" + b"x" * 20_000_000,
    "no suffix": lambda: b"key,value\na,1\n",
}


def _parquet(table: pa.Table) -> bytes:
    into = io.BytesIO()
    parquet.write_table(table, into)
    return into.getvalue()


def write_all(folder: Path) -> None:
    for name, make in CONTENT.items():
        (folder / name).write_bytes(make())
