"""What `mlops data create` and `mlops model create` are given: a YAML file, options, or both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mlops_dagster.aml.references import JobOutput, parse_reference, resolve_path
from mlops_dagster.cli.overrides import parse_overrides
from mlops_dagster.errors import InvalidRequest

if TYPE_CHECKING:
    from mlops_dagster.aml.base import Value

Asset = TypeVar("Asset", bound="Value")

File = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="FILE", help="The asset's YAML file.")
]
Name = Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="Its name.")]
NewVersion = Annotated[
    str | None,
    typer.Option("--version", "-v", metavar="VERSION", help="By default the next number."),
]
Location = Annotated[
    str | None,
    typer.Option("--path", "-p", metavar="PATH", help="What it is: a file, a folder, an address."),
]
Type = Annotated[str | None, typer.Option("--type", "-t", metavar="TYPE", help="Its type.")]
Description = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tags", metavar="NAME=VALUE", help="A tag; takes several."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the YAML; takes several."),
]


def asset_of(
    load: Callable[..., Asset],
    model: type[Asset],
    file: Path | None,
    settings: list[str] | None,
    tags: list[str] | None,
    **options: str | None,
) -> Asset:
    """The asset that a file describes, changed by options; or that options describe alone.

    Args:
        load: reads a file, with fields that replace its own.
        options: fields by name; None for what was not given.

    Raises InvalidDocument for a mistake in the file, InvalidRequest where there is neither a file
    nor a name and a path.
    """
    fields: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "path" in fields:
        fields["path"] = resolve_path(fields["path"], Path.cwd())
    added = {f"tags.{key}": str(value) for key, value in parse_overrides(tags or []).items()}
    fields = {**parse_overrides(settings or []), **added, **fields}
    if file is not None:
        return load(file, overrides=fields)
    if "name" not in fields or "path" not in fields:
        raise InvalidRequest(
            "What is to be registered? Neither a file nor a name and a path were given.",
            remedy="Give --file FILE, or --name NAME and --path PATH.",
        )
    nested = {key.partition(".")[2]: value for key, value in fields.items() if "." in key}
    plain = {key: value for key, value in fields.items() if "." not in key}
    unknown = [key for key in plain if key not in model.model_fields]
    if unknown or any(not key.startswith("tags.") for key in fields if "." in key):
        raise InvalidRequest(
            "Without a file, --set takes tags.NAME=VALUE alone.",
            remedy="Give the file: --file FILE",
        )
    from pydantic import ValidationError

    from mlops_dagster.aml.expectations import expectation

    try:
        return model.model_validate({**plain, "tags": nested})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidRequest(
            f"--{first['loc'][0]}: found {first['input']!r}; expected {expectation(first)}."
        ) from None


def job_of_path(path: str) -> str | None:
    """The job whose output a path names, ``azureml://jobs/JOB/outputs/...``; else None."""
    reference = parse_reference(path)
    return reference.job if isinstance(reference, JobOutput) else None
