"""What a parallel step is asked to do: PLAN.json as a value.

The meaning of each field stands in the package's docstring.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field, ValidationError

from mlops_dagster.aml.base import Value
from mlops_dagster.errors import InvalidRequest

_PREDEFINED = {
    "error_threshold": int,
    "mini_batch_error_threshold": int,
    "allowed_failed_percent": float,
    "task_overhead_timeout": float,
    "progress_update_timeout": float,
    "first_task_creation_timeout": float,
}
_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{path} is not an absolute path")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Threshold = Annotated[int, Field(ge=-1)]
Seconds = Annotated[float, Field(gt=0)]


class InputData(Value):
    """The input that is cut into mini batches."""

    path: AbsolutePath
    type: Literal["uri_folder", "uri_file", "mltable"] = "uri_folder"


class Plan(Value):
    """One parallel step, ready to run; every field is described in the package's docstring."""

    code: AbsolutePath
    entry_script: str
    arguments: tuple[str, ...] = ()
    input: InputData
    mini_batch_size: str | None = None
    partition_keys: tuple[str, ...] = ()
    instance_count: int = Field(default=1, ge=1)
    max_concurrency_per_instance: int | None = Field(default=None, ge=1)
    mini_batch_error_threshold: Threshold = -1
    error_threshold: Threshold = -1
    max_retries: int = Field(default=2, ge=0)
    timeout: Seconds = 60
    task_overhead_timeout: Seconds = 600
    first_task_creation_timeout: Seconds = 600
    progress_update_timeout: Seconds | None = None
    allowed_failed_percent: float = Field(default=100, ge=0, le=100)
    append_row_to: AbsolutePath | None = None
    output_folder: AbsolutePath | None = None
    logging_level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"
    python: AbsolutePath | None = None
    logs: AbsolutePath
    state: AbsolutePath
    worker_memory_limit: int | None = Field(default=None, gt=0)

    @property
    def script(self) -> Path:
        """The entry script's file."""
        return self.code / self.entry_script

    @property
    def interpreter(self) -> str:
        """The workers' Python."""
        return str(self.python or sys.executable)

    @property
    def processes_per_instance(self) -> int:
        """Workers on each instance."""
        return self.max_concurrency_per_instance or available_cores()

    @property
    def workers(self) -> int:
        """Worker processes of the whole step."""
        return self.instance_count * self.processes_per_instance


def read_plan(path: Path) -> Plan:
    """Read PLAN.json, with the predefined options among its arguments folded in.

    Raises:
        InvalidRequest: it cannot be read, a field is wrong or missing, or the entry script or the
            input does not exist; every mistake is named.
    """
    try:
        plan = Plan.model_validate_json(path.read_bytes())
        plan = Plan.model_validate(plan.model_dump() | _predefined(plan.arguments))
    except OSError as error:
        raise InvalidRequest(f"The plan {path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise InvalidRequest(f"The plan {path} is wrong: {_described(error)}.") from None
    _check_files(plan)
    return plan


def size_in_bytes(text: str) -> int:
    """``10kb`` as 10240; a bare number is bytes; units b, kb, mb, gb in any case.

    Raises:
        InvalidRequest: it is not a positive size.
    """
    digits = text.strip().lower().rstrip("kmgb ")
    unit = text.strip().lower()[len(digits) :].strip()
    try:
        size = int(float(digits) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise InvalidRequest(
            f"mini_batch_size {text!r} is not a size.",
            remedy='Write bytes with a unit, such as "100kb" or "10mb".',
        )
    return size


def file_count(text: str) -> int:
    """``10`` as 10.

    Raises:
        InvalidRequest: it is not a positive whole number.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise InvalidRequest(
            f"mini_batch_size {text!r} is not a number of files.",
            remedy="Files are counted: write a whole number from 1. Sizes such as 10kb are for "
            "tables (type mltable, with a read_... transformation).",
        )
    return int(text)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Quiet(ArgumentParser):
    """Raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"program_arguments: {message}.")


def _predefined(arguments: tuple[str, ...]) -> dict[str, Any]:
    parser = _Quiet(add_help=False, allow_abbrev=False)
    for name, kind in _PREDEFINED.items():
        parser.add_argument(f"--{name}", type=kind)
    known: Namespace = parser.parse_known_args(list(arguments))[0]
    return {name: value for name, value in vars(known).items() if value is not None}


def _described(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, mistake['loc'])) or 'the document'}: {mistake['msg']}"
        for mistake in error.errors()
    )


def _check_files(plan: Plan) -> None:
    if not plan.script.is_file():
        scripts = sorted(found.name for found in plan.code.glob("*.py"))
        raise InvalidRequest(
            f"entry_script {plan.entry_script!r} is not a file in the step's code folder.",
            remedy=f"Scripts there: {', '.join(scripts[:8])}." if scripts else None,
        )
    data = plan.input
    if not data.path.exists():
        raise InvalidRequest(f"The input {data.path} does not exist.")
    if data.type == "uri_file" and not data.path.is_file():
        raise InvalidRequest(f"The input {data.path} is a folder, but its type is uri_file.")
