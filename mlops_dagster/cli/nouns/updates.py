"""`--set FIELD=VALUE` of `mlops job update` and `mlops model update`: what describes a record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from mlops_dagster.cli.overrides import parse_overrides
from mlops_dagster.errors import InvalidRequest


@dataclass(frozen=True)
class Updates:
    """What is to change: texts by field, and what is to be added to mappings."""

    texts: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


def parse_updates(
    settings: Sequence[str], *, of: str, texts: Collection[str] = (), mappings: Collection[str]
) -> Updates:
    """Sort settings by what they change.

    Args:
        of: what is changed, for messages.
        texts, mappings: the fields that can change.

    Raises InvalidRequest for a field that cannot change, or where there is nothing to change.
    """
    updates = Updates()
    for name, value in parse_overrides(settings).items():
        root, dot, key = name.partition(".")
        if not dot and root in texts:
            updates.texts[root] = str(value)
        elif key and root in mappings:
            getattr(updates, root)[key] = str(value)
        else:
            can = ", ".join([*(f"{each}.NAME" for each in mappings), *texts])
            raise InvalidRequest(f"{name!r} of {of} cannot change.", remedy=f"Can change: {can}.")
    if not settings:
        raise InvalidRequest("There is nothing to update.", remedy="For example: --set tags.a=b")
    return updates
