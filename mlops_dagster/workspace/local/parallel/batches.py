"""Cutting a step's input into mini batches.

The same input is always cut the same way, and each mini batch has a key that changes with what is
in it: that is how a resumed run knows what has been done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.parallel.listing import InputFile, files_below
from mlops_dagster.workspace.local.parallel.mltable import read_mltable
from mlops_dagster.workspace.local.parallel.plan import Plan, file_count
from mlops_dagster.workspace.local.parallel.tables import table_slices


@dataclass(frozen=True, slots=True)
class MiniBatch:
    """What one call of ``run()`` is given.

    Attributes:
        index: counted from 0 over the whole input.
        key: the same for the same files with the same content.
        request: ``{"files": [...]}`` or ``{"table": {...}}``, and ``partition`` where there is one.
        items: how many files it has; None for a table, whose rows the worker counts.
    """

    index: int
    key: str
    request: Mapping[str, Any]
    items: int | None


def mini_batches(plan: Plan) -> Iterator[MiniBatch]:
    """The mini batches of a step's input, made one by one as they are asked for.

    Raises:
        InvalidRequest: ``mini_batch_size`` or ``partition_keys`` do not fit the input, or its
            MLTable file cannot be honoured.
    """
    for index, (identity, request, items) in enumerate(_requests(plan)):
        yield MiniBatch(index, _key(identity), request, items)


_Request = tuple[Sequence[str], Mapping[str, Any], int | None]


def _requests(plan: Plan) -> Iterator[_Request]:
    if plan.input.type == "mltable":
        table = read_mltable(plan.input.path)
        if table.format is not None:
            yield from table_slices(table, plan.mini_batch_size, plan.partition_keys)
            return
        files: Iterable[InputFile] = table.files()
    else:
        files = files_below(plan.input.path)
    if plan.partition_keys:
        yield from _by_folder(files, plan.partition_keys)
    else:
        yield from _by_count(iter(files), file_count(plan.mini_batch_size or "1"))


def _by_count(files: Iterator[InputFile], count: int) -> Iterator[_Request]:
    while chosen := list(islice(files, count)):
        yield _file_request(chosen)


def _by_folder(files: Iterable[InputFile], keys: Sequence[str]) -> Iterator[_Request]:
    groups: dict[tuple[str, ...], list[InputFile]] = {}
    for file in files:
        parts = dict(part.split("=", 1) for part in file.relative.split("/")[:-1] if "=" in part)
        missing = [key for key in keys if key not in parts]
        if missing:
            raise InvalidRequest(
                f"partition_keys: {file.relative!r} lies in no folder {missing[0]}=...",
                remedy="Lay the files out as key=value folders, or use mini_batch_size.",
            )
        groups.setdefault(tuple(parts[key] for key in keys), []).append(file)
    for values in sorted(groups):
        identity, request, items = _file_request(groups[values])
        yield identity, {**request, "partition": dict(zip(keys, values, strict=True))}, items


def _file_request(files: Sequence[InputFile]) -> _Request:
    identity = [f"{file.relative}:{file.stamp}" for file in files]
    return identity, {"files": [file.path for file in files]}, len(files)


def _key(identity: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(identity)).encode()).hexdigest()[:32]
