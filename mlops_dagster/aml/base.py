"""What every value of the language shares: frozen, closed, and exact about its fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A plain, immutable value; a field that the language does not have is refused."""

    # Validators are built on first use: importing the language stays cheap.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
