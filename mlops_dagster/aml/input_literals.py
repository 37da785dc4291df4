"""Literals as inputs: whether a scalar fits the input that it is given to, and what it becomes."""

from __future__ import annotations

import math

from mlops_dagster.aml.inputs_outputs import InputSpec, Scalar
from mlops_dagster.aml.types import InputType


def literal_type(value: Scalar) -> InputType:
    """The literal type that a YAML scalar has by itself."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def coerce_literal(value: Scalar, type: InputType) -> Scalar:
    """``value`` as the declared literal type, read as Azure ML reads it (``"3"`` is an integer).

    Raises ValueError where it does not fit; its text says what was expected.
    """
    match type:
        case "string":
            return value if isinstance(value, str) else str(value)
        case "boolean":
            if isinstance(value, bool):
                return value
            if str(value).strip().lower() in ("true", "false"):
                return str(value).strip().lower() == "true"
            raise ValueError("true or false")
        case "integer":
            return _whole_number(value)
        case "number":
            return _number(value)
        case _:
            raise ValueError("data")


def literal_problem(value: Scalar, spec: InputSpec) -> str | None:
    """What was expected instead of ``value``, by type, ``enum``, ``min`` and ``max``; else None."""
    try:
        literal = coerce_literal(value, spec.type)
    except ValueError as error:
        return f"expected {error}, for the input is declared {spec.type}"
    if spec.enum and str(literal) not in {str(allowed) for allowed in spec.enum}:
        return f"expected one of {', '.join(str(allowed) for allowed in spec.enum)}"
    if isinstance(literal, int | float) and not isinstance(literal, bool):
        low = -math.inf if spec.min is None else spec.min
        high = math.inf if spec.max is None else spec.max
        if not low <= literal <= high:
            return f"expected {_range(spec)}"
    return None


def _range(spec: InputSpec) -> str:
    if spec.min is None:
        return f"at most {spec.max:g}"
    if spec.max is None:
        return f"at least {spec.min:g}"
    return f"between {spec.min:g} and {spec.max:g}"


def _whole_number(value: Scalar) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = _number(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number != int(number):
        raise ValueError("a whole number")
    return int(number)


def _number(value: Scalar) -> float:
    try:
        if not isinstance(value, bool):
            return value if isinstance(value, int) else float(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a number")
