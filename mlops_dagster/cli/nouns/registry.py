"""What `mlops model` and `mlops data` share: references to versions, and their options."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_dagster.aml.references import name_and_version

Version = Annotated[
    str | None,
    typer.Option(
        "--version", "-v", metavar="VERSION", help="Instead of NAME:VERSION; else the latest."
    ),
]
Label = Annotated[
    str | None, typer.Option("--label", "-l", metavar="LABEL", help="latest; the only one.")
]
MaxResults = Annotated[
    int | None,
    typer.Option("--max-results", "-r", metavar="N", min=1, help="At most this many."),
]


def parse_version(
    text: str, version: str | None = None, label: str | None = None
) -> tuple[str, str | None]:
    """Name and version of a reference, ``--version`` and ``--label``; see ``name_and_version``."""
    if label is not None and not text.endswith(f"@{label}"):
        text = f"{text}@{label}"
    return name_and_version(text, version)
