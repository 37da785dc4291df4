"""Arrow columns of any type that a Parquet file may hold, with any values, for property tests."""

from __future__ import annotations

import string
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_UNITS = st.sampled_from(["s", "ms", "us", "ns"])
_ZONES = st.sampled_from([None, "UTC", "Europe/Paris"])
_NAMES = st.text(string.ascii_letters + " _", min_size=1, max_size=3)
_TIMES = {"s": 10**9, "ms": 10**12, "us": 10**15, "ns": 10**18}
_TEXT = st.text(max_size=3)
_BYTES = st.binary(max_size=3)

leaf_types = st.one_of(
    st.sampled_from(
        [
            pa.null(),
            pa.bool_(),
            *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
            *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
            *(pa.float16(), pa.float32(), pa.float64()),
            *(pa.string(), pa.large_string(), pa.string_view()),
            *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)),
            *(pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("us")),
            *(pa.decimal128(5, 2), pa.decimal128(38, 10), pa.decimal256(30, 5)),
            pa.decimal256(60, 0),
            pa.dictionary(pa.int8(), pa.string()),
        ]
    ),
    st.builds(pa.timestamp, _UNITS, _ZONES),
    st.builds(pa.duration, _UNITS),
)


def _nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    fields = st.lists(
        st.builds(pa.field, _NAMES, inner), min_size=1, max_size=3, unique_by=lambda each: each.name
    )
    return st.one_of(
        st.builds(pa.list_, inner),
        st.builds(pa.large_list, inner),
        st.builds(lambda kind: pa.list_(kind, 2), inner),
        st.builds(pa.struct, fields),
        st.builds(pa.map_, st.sampled_from([pa.string(), pa.int32()]), inner),
    )


types = st.recursive(leaf_types, _nested, max_leaves=3)
number_types = st.sampled_from(
    [
        *(pa.null(), pa.bool_(), pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(5, 2), pa.decimal128(30, 1)),
    ]
)


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, among them None."""
    return st.none() | _some(kind)


def columns(kinds: st.SearchStrategy[pa.DataType], rows: int = 3) -> st.SearchStrategy[pa.Array]:
    """Columns of these types."""
    return kinds.flatmap(
        lambda kind: st.lists(values(kind), min_size=rows, max_size=rows).map(
            lambda found: pa.array(found, kind)
        )
    )


def _some(kind: pa.DataType) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a table of types
    check = pa.types
    if check.is_null(kind):
        return st.none()
    if check.is_boolean(kind):
        return st.booleans()
    if check.is_integer(kind):
        bits = kind.bit_width - (0 if check.is_unsigned_integer(kind) else 1)
        return st.integers(0 if check.is_unsigned_integer(kind) else -(2**bits), 2**bits - 1)
    if check.is_floating(kind):
        return st.floats(width=kind.bit_width)
    if check.is_decimal(kind):
        most = 10 ** (kind.precision - kind.scale) - 1
        return st.decimals(-most, most, places=kind.scale)
    if check.is_map(kind):
        pairs = st.dictionaries(_some(kind.key_type), values(kind.item_type), max_size=2)
        return pairs.map(lambda found: list(found.items()))
    if check.is_struct(kind):
        return st.fixed_dictionaries({field.name: values(field.type) for field in kind})
    if check.is_fixed_size_list(kind):
        return st.lists(values(kind.value_type), min_size=2, max_size=2)
    if check.is_list(kind) or check.is_large_list(kind):
        return st.lists(values(kind.value_type), max_size=2)
    return _plain(kind)


def _plain(kind: pa.DataType) -> st.SearchStrategy[Any]:
    check = pa.types
    if check.is_temporal(kind):
        unit = getattr(kind, "unit", "s")
        most = {"date32[day]": 10**4, "date64[ms]": 10**12, "time32[ms]": 86_399_999}.get(
            str(kind), 86_399_999_999 if check.is_time(kind) else _TIMES[unit]
        )
        least = 0 if check.is_time(kind) else -most
        return st.integers(least, most) | st.integers(-9, 9).map(lambda n: abs(n) * 86_400_000)
    if check.is_fixed_size_binary(kind):
        return st.binary(min_size=3, max_size=3)
    return _BYTES if "binary" in str(kind) else _TEXT
