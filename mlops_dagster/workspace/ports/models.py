"""Registered models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model; immutable but for its tags.

    Attributes:
        type: ``mlflow_model``, ``custom_model`` or ``triton_model``.
        digest: ``sha256:...`` over the names and contents of its files.
        job: the job whose output it was registered from.
        data: references of the data that this job read.
        code: digest of the code that this job ran.
    """

    name: str
    version: str
    type: str
    uri: str
    digest: str
    created_at: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None
    data: Sequence[str] = ()
    code: str | None = None

    @property
    def reference(self) -> str:
        """``azureml:name:version``."""
        return f"azureml:{self.name}:{self.version}"


class Models(Protocol):
    """Registered models."""

    def register(
        self,
        name: str,
        uri: str | Path,
        *,
        type: str = "mlflow_model",
        version: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        job: str | None = None,
    ) -> ModelVersion:
        """Register the files at ``uri``; the same job's same output is registered once.

        Raises Conflict where the version exists with another digest, NotFound where nothing
        lies there.
        """

    def get(self, name: str, version: str | None = None) -> ModelVersion:
        """A version, or the latest one; ``get("auc:3")`` and ``get("auc", "3")`` are the same.

        Raises NotFound.
        """

    def list(self, name: str | None = None) -> Sequence[ModelVersion]:
        """The latest version of every model, or every version of one, newest first."""

    def tag(self, name: str, version: str, tags: Mapping[str, str | None]) -> ModelVersion:
        """Set tags of a version; None removes one. Raises NotFound."""

    def download(self, name: str, version: str | None, to: Path) -> Path:
        """Copy the model's files below ``to`` and return where they lie."""
