"""What `mlops model` and `mlops data` share: references to versions, and their options."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_dagster.errors import InvalidRequest

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
    """Name and version of ``name``, ``name:3``, ``name@latest``, with or without ``azureml:``.

    The version is None for the latest. Raises InvalidRequest where two versions are given, or a
    label other than ``latest``.
    """
    name = text.removeprefix("azureml:")
    name, at, in_text = name.partition("@")
    labels = [each for each in (in_text if at else None, label) if each is not None]
    for each in labels:
        if each != "latest":
            raise InvalidRequest(
                f"{text!r} has the label {each!r}; only latest is known.",
                remedy="Give a version instead, such as NAME:3.",
            )
    name, colon, given = name.partition(":")
    if (version is not None and (colon or labels)) or (colon and labels):
        raise InvalidRequest(f"{text!r} is given two versions.", remedy="Leave one out.")
    return name, given if colon else version
