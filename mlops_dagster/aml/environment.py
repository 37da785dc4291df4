"""Environments: the software that a job's command finds.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-environment
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_dagster.aml.base import Value


class BuildContext(Value):
    """A Docker build context: an absolute folder here, or a URL, and the Dockerfile in it."""

    path: str
    dockerfile_path: str = "Dockerfile"


class Environment(Value):
    """An environment as a job, component or environment file describes it.

    Attributes:
        reference: an ``azureml:name:version`` or registry address, for an environment that is
            registered elsewhere; the other fields are then empty.
        name, version: its own identity, where the file gives one.
        image: a container image.
        build: a Docker build context, instead of an image.
        conda: the conda specification's content (from ``conda_file``: a path or inline).
        conda_file: the file it was read from, where there is one.
    """

    reference: str | None = None
    name: str | None = None
    version: str | None = None
    description: str = ""
    image: str | None = None
    build: BuildContext | None = None
    conda: dict[str, Any] | None = None
    conda_file: Path | None = None
    os_type: str | None = None
    inference_config: dict[str, Any] | None = None
    tags: dict[str, str | None] = {}
    properties: dict[str, str | None] = {}
