"""The file ``retention.yml`` of the state folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.document import parse_model, read_document


class _File(Value):
    days: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["forever"]


def read_days(file: Path) -> float | None:
    """The days that the file says; None for ever. Raises InvalidDocument where it is wrong."""
    document = read_document(file)
    days = parse_model(_File, document, document.data).days
    return None if days == "forever" else days
