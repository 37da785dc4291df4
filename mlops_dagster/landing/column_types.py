"""Which type of a Delta table holds an Arrow column without loss, and columns cast to that type.

Only types that every reader of Delta knows, without a table feature: times are in UTC to the
microsecond (a time without a zone would ask for ``timestampNtz``, and is taken as UTC), integers
are signed ("Primitive Types" in Delta's PROTOCOL.md). ``pa.null()`` stands for a column, or a part
of one, whose type no value has shown yet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyarrow import DataType, Field

_MOST_DIGITS = 38  # of a Delta decimal
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}
_REFUSED_BY_SPARK = re.compile(r"[ ,;{}()\n\t=]")


class UnfitType(Exception):
    """No type of a Delta table holds the values.

    Attributes:
        problem: which types were found.
        field: the column, or the field inside of it with dots; empty where it is not known yet.
    """

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(f"{field}: {problem}")
        self.problem = problem
        self.field = field

    def inside(self, name: str) -> UnfitType:
        """The same of a field inside of another."""
        return UnfitType(self.problem, f"{name}.{self.field}" if self.field else name)


def column_name(name: str) -> str:
    """The name in the table: what Spark refuses in a name becomes ``_``."""
    return _REFUSED_BY_SPARK.sub("_", name)


def table_type(given: DataType) -> DataType:  # noqa: C901, PLR0911 - a table of types
    """The type of the table that holds every value of an Arrow type, or refuses the odd value.

    Raises UnfitType where there is none, such as for durations and times of day.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(given):
        return table_type(given.value_type)
    if types.is_null(given) or types.is_boolean(given) or types.is_signed_integer(given):
        return given
    if types.is_unsigned_integer(given):
        return {8: pa.int16(), 16: pa.int32()}.get(given.bit_width, pa.int64())
    if types.is_floating(given):
        return pa.float32() if types.is_float16(given) else given
    if types.is_decimal(given) and given.precision <= _MOST_DIGITS and given.scale >= 0:
        return pa.decimal128(given.precision, given.scale)
    if types.is_string(given) or types.is_large_string(given) or types.is_string_view(given):
        return pa.string()
    if _is_binary(given):
        return pa.binary()
    if types.is_date(given):
        return pa.date32()
    if types.is_timestamp(given):
        return pa.timestamp("us", "UTC")
    if _is_list(given):
        return pa.list_(table_type(given.value_type))
    if types.is_struct(given):
        return pa.struct(table_fields(given))
    if types.is_map(given):
        return pa.map_(table_type(given.key_type), table_type(given.item_type))
    raise UnfitType(f"a Delta table has no type for {given}")


def table_fields(given: Iterable[Field]) -> list[Field]:
    """Fields as the table has them, nullable and without metadata.

    Raises UnfitType where two of them get one name; Spark does not tell upper from lower case.
    """
    import pyarrow as pa

    fields = []
    for field in given:
        try:
            fields.append(pa.field(column_name(field.name), table_type(field.type)))
        except UnfitType as error:
            raise error.inside(field.name) from None
    _refuse_one_name(fields)
    return fields


def common_type(one: DataType, other: DataType) -> DataType:
    """The smallest type of the table for the values of both; both are such types.

    Raises UnfitType where there is none, such as for text and numbers.
    """
    import pyarrow as pa

    types = pa.types
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if (number := _common_number(one, other)) is not None:
        return number
    if types.is_timestamp(one) and types.is_timestamp(other):
        return one
    if types.is_list(one) and types.is_list(other):
        return pa.list_(common_type(one.value_type, other.value_type))
    if types.is_map(one) and types.is_map(other):
        key = common_type(one.key_type, other.key_type)
        return pa.map_(key, common_type(one.item_type, other.item_type))
    if types.is_struct(one) and types.is_struct(other):
        return pa.struct(common_fields(one, other))
    raise UnfitType(f"{one} and {other} have no type in common")


def common_fields(one: Iterable[Field], other: Iterable[Field]) -> list[Field]:
    """The fields of both, those of ``one`` first; what may not be null there may not be null.

    Raises UnfitType.
    """
    import pyarrow as pa

    one = list(one)
    kinds = {field.name: field.type for field in one}
    required = {field.name for field in one if not field.nullable}
    for field in other:
        try:
            kinds[field.name] = common_type(kinds.get(field.name, pa.null()), field.type)
        except UnfitType as error:
            raise error.inside(field.name) from None
    fields = [pa.field(name, kind, name not in required) for name, kind in kinds.items()]
    _refuse_one_name(fields)
    return fields


def fields_of_known_type(given: Iterable[Field]) -> list[Field]:
    """The fields without those whose type no value has shown yet.

    Raises UnfitType where only a part of a column is without one, such as in a list of nulls.
    """
    import pyarrow as pa

    fields = []
    for field in given:
        try:
            kind = _known_type(field.type)
        except UnfitType as error:
            raise error.inside(field.name) from None
        if not pa.types.is_null(kind):
            fields.append(pa.field(field.name, kind, field.nullable))
    return fields


def cast(column: Any, to: DataType) -> Any:
    """An array in a type that ``common_type`` gave, value for value.

    Raises pyarrow.ArrowInvalid where a value has no equal in that type.
    """
    import pyarrow as pa

    given = column.type
    if given == to:
        return column
    if pa.types.is_dictionary(given):
        return cast(column.dictionary_decode(), to)
    if pa.types.is_null(given):
        return pa.nulls(len(column), to)
    if pa.types.is_struct(given):
        return _cast_struct(column, to)
    if pa.types.is_map(given):
        pairs = _cast_list(column.cast(_pairs(given)), _pairs(to))
        keys, items = pairs.values.flatten()
        return pa.MapArray.from_arrays(pairs.offsets, keys, items, to, mask=pairs.is_null())
    if _is_list(given):
        return _cast_list(column, to)
    return column.cast(to)


def _cast_struct(column: Any, to: DataType) -> Any:
    import pyarrow as pa

    given = {
        column_name(field.name): part
        for field, part in zip(column.type, column.flatten(), strict=True)
    }
    parts = [
        cast(given[field.name], field.type)
        if field.name in given
        else pa.nulls(len(column), field.type)
        for field in to
    ]
    return pa.StructArray.from_arrays(parts, fields=list(to), mask=column.is_null())


def _cast_list(column: Any, to: DataType) -> Any:
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    values = cast(column.flatten(), to.value_type)
    return pa.ListArray.from_arrays(offsets, values, to, mask=column.is_null())


def _pairs(kind: DataType) -> DataType:
    import pyarrow as pa

    return pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))


def _common_number(one: DataType, other: DataType) -> DataType | None:
    import pyarrow as pa

    types = pa.types
    kinds = (one, other)
    if all(map(types.is_integer, kinds)) or all(map(types.is_floating, kinds)):
        return max(kinds, key=lambda kind: kind.bit_width)
    if all(types.is_integer(kind) or types.is_floating(kind) for kind in kinds):
        whole, real = sorted(kinds, key=types.is_floating)
        exact = whole.bit_width <= 16 or types.is_float64(real)
        return real if exact else pa.float64()
    if all(types.is_integer(kind) or types.is_decimal(kind) for kind in kinds):
        scale = max(map(_scale, kinds))
        digits = max(map(_digits, kinds)) + scale
        return pa.decimal128(digits, scale) if digits <= _MOST_DIGITS else None
    return None


def _scale(kind: DataType) -> int:
    import pyarrow as pa

    return int(kind.scale) if pa.types.is_decimal(kind) else 0


def _digits(kind: DataType) -> int:
    """Digits before the point."""
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return int(kind.precision - kind.scale)
    return _INTEGER_DIGITS[kind.bit_width]


def _known_type(kind: DataType) -> DataType:
    import pyarrow as pa

    types = pa.types
    if types.is_list(kind):
        return pa.list_(_require_type(_known_type(kind.value_type), kind))
    if types.is_map(kind):
        parts = (_known_type(kind.key_type), _known_type(kind.item_type))
        return pa.map_(*(_require_type(part, kind) for part in parts))
    if types.is_struct(kind):
        fields = fields_of_known_type(kind)
        return pa.struct(fields) if fields else _require_type(pa.null(), kind)
    return kind


def _require_type(part: DataType, whole: DataType) -> DataType:
    import pyarrow as pa

    if pa.types.is_null(part):
        raise UnfitType(f"the type inside {whole} is not known, as it holds no value")
    return part


def _is_list(kind: DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def _is_binary(kind: DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _refuse_one_name(fields: Iterable[Field]) -> None:
    seen: dict[str, str] = {}
    for field in fields:
        if (before := seen.get(field.name.lower())) is not None:
            how = "twice" if before == field.name else f"beside {before!r}"
            raise UnfitType(f"it is there {how}", field.name)
        seen[field.name.lower()] = field.name
