"""What `mlops model` and `mlops data` share: references to versions."""

from __future__ import annotations

from mlops_dagster.errors import InvalidRequest


def parse_version(text: str, version: str | None = None) -> tuple[str, str | None]:
    """Name and version of ``name``, ``name:3``, ``name@latest``, with or without ``azureml:``.

    The version is None for the latest. Raises InvalidRequest where two versions are given, or a
    label other than ``latest``.
    """
    name = text.removeprefix("azureml:")
    name, at, label = name.partition("@")
    if at and label != "latest":
        raise InvalidRequest(
            f"{text!r} has the label {label!r}; only @latest is known.",
            remedy="Give a version instead, such as NAME:3.",
        )
    name, colon, given = name.partition(":")
    if (colon or at) and version is not None:
        raise InvalidRequest(
            f"{text!r} names a version and --version another.", remedy="Leave one out."
        )
    return name, given if colon else version
