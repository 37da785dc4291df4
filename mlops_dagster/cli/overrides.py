"""`--set a.b.c=value`: fields of a YAML file that one call changes."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_dagster.errors import InvalidRequest

Scalar = str | int | float | bool


def parse_overrides(settings: Sequence[str]) -> dict[str, Scalar]:
    """Field to value, the last of equal fields.

    A value is data: it is never read as YAML. It becomes a boolean or a number only where that
    says the same as its text (``3``, ``0.1``, ``true``), so that a version ``1.10`` or a code
    ``007`` stays as it is.

    Raises InvalidRequest where an item has no ``=`` or an empty part in its field.
    """
    overrides: dict[str, Scalar] = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals or not all(part.strip() for part in field.split(".")):
            raise InvalidRequest(
                f"--set takes FIELD=VALUE; found {setting!r}.",
                remedy="For example: --set inputs.rate=0.1",
            )
        overrides[field.strip()] = _typed(value)
    return overrides


def _typed(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text and text not in ("nan", "inf", "-inf"):
            return number
    return text
