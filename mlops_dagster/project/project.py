"""A project that was read: its declarations joined with the pipelines that they point at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from mlops_dagster.aml.graph import Source
from mlops_dagster.aml.inputs_outputs import InputValue
from mlops_dagster.aml.job import Job, PipelineComponent
from mlops_dagster.project.field_types import Automation
from mlops_dagster.project.landing_yaml import (
    LandingDeclaration,
    SourceDeclaration,
    TablesDeclaration,
)
from mlops_dagster.project.project_yaml import Partitions, Rows


@dataclass(frozen=True)
class Origin:
    """The output of a step that makes a data product or a model.

    Attributes:
        output: its name in the step.
        type: ``uri_folder``, ``mlflow_model`` ...
        asset: the name under which the output registers itself; None where it does not.
    """

    pipeline: str
    step: str
    output: str
    type: str
    asset: str | None


@dataclass(frozen=True)
class ProductInput:
    """A pipeline's input that a data product feeds.

    Attributes:
        path: below the product's folder, with ``%Y``, ``%m`` ... of the partition; may be None.
    """

    product: str
    path: str | None = None


@dataclass(frozen=True)
class ModelInput:
    """A pipeline's input that takes the champion of a model."""

    model: str


@dataclass(frozen=True)
class GivenInput:
    """A pipeline's input that is fed from outside the project.

    Attributes:
        templated: whether its literal holds ``%Y``, ``%m`` ... of the partition.
    """

    value: InputValue
    templated: bool = False


Feed = ProductInput | ModelInput | GivenInput


@dataclass(frozen=True)
class Pipeline:
    """An Azure ML pipeline job of the project.

    Attributes:
        job: as its file describes it.
        upstreams: where each input of each step comes from, by step and input, in running order.
        feeds: what feeds each input of the pipeline that is given anything.
        lines: the line of the file on which each step stands.
    """

    name: str
    file: Path
    job: Job
    upstreams: Mapping[str, Mapping[str, Source]]
    feeds: Mapping[str, Feed]
    lines: Mapping[str, int]
    description: str = ""
    owners: tuple[str, ...] = ()
    partitions: Partitions | None = None
    automation: Automation | None = None

    @property
    def component(self) -> PipelineComponent:
        """The pipeline's steps."""
        component = self.job.step.component
        assert isinstance(component, PipelineComponent)  # noqa: S101 - pipelines.py refuses others
        return component


@dataclass(frozen=True)
class Column:
    """A column of a table, as Pandera's YAML describes it.

    Attributes:
        checks: each in words, such as ``isin ['EWR', 'JFK']``.
    """

    name: str
    dtype: str
    nullable: bool = False
    unique: bool = False
    required: bool = True
    description: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSchema:
    """The schema of a data product, for display; Pandera itself reads ``file`` to check data."""

    file: Path
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class DataProduct:
    """A data product: a pipeline's output, or data that somebody else provides.

    Attributes:
        origin: the output that makes it; None for data provided by somebody else.
        provided: the Azure ML data YAML that describes it; None for a pipeline's output.
        type: ``uri_file``, ``uri_folder`` or ``mltable``.
        asset: its name as a registered data asset.
        partitions: those of the pipeline that makes it.
        line: of project.yaml.
    """

    name: str
    origin: Origin | None
    provided: Path | None
    type: str
    asset: str
    line: int
    schema: TableSchema | None = None
    description: str = ""
    owners: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    rows: Rows | None = None
    nulls: Mapping[str, float] = field(default_factory=dict)
    fresh_within: timedelta | None = None
    partitions: Partitions | None = None
    automation: Automation | None = None


@dataclass(frozen=True)
class Model:
    """A registered model and what makes one of its versions the champion.

    Attributes:
        maximize: whether more of ``metric`` is better.
        bound: the least (or, to be minimized, the most) that ``metric`` may be.
        baseline: the metric of a rival that a version must not be worse than.
        tolerance: how much worse than the champion a version may be.
        line: of project.yaml.
    """

    name: str
    origin: Origin
    metric: str
    maximize: bool
    bound: float | None
    baseline: str | None
    tolerance: float
    line: int
    description: str = ""
    owners: tuple[str, ...] = ()
    automation: Automation | None = None


@dataclass(frozen=True)
class RunnableJob:
    """Pipelines that run together.

    Attributes:
        cron: when; None for on demand only.
    """

    name: str
    pipelines: tuple[str, ...]
    cron: str | None = None
    timezone: str = "UTC"
    description: str = ""


@dataclass(frozen=True)
class LandingPlace:
    """Where files land, and where what is made of them lies, in one workspace.

    Attributes:
        drops: the folder as it is written, or the container's address.
        queue: the address of the queue of the container's events; None without one.
        container: its address; None for a folder.
        tables: None for the state folder.
        journal: None where one machine alone works on the landing.
    """

    source: SourceDeclaration
    tables: TablesDeclaration | None
    journal: str | None

    @property
    def drops(self) -> str:
        return self.container or self.source.folder or ""

    @property
    def container(self) -> str | None:
        source = self.source
        return _address(source.container, source.account, "blob") if source.container else None

    @property
    def queue(self) -> str | None:
        source = self.source
        return _address(source.queue, source.account, "queue") if source.queue else None


@dataclass(frozen=True)
class Landing:
    """A project's landing, joined with the pipeline that scores it.

    Attributes:
        declared: its fields as they are written.
        places: by workspace, for each that ``.cloud/`` describes and for ``local``.
        reference: the output that holds the scores to compare with; None without ``drift``.
        example: the script's path.
        line: of project.yaml.
    """

    declared: LandingDeclaration
    places: Mapping[str, LandingPlace]
    pipeline: Pipeline
    reference: Origin | None
    example: Path | None
    owners: tuple[str, ...]
    line: int


def _address(name: str, account: str | None, service: str) -> str:
    if name.startswith("https://"):
        return name
    return f"https://{account}.{service}.core.windows.net/{name}"


@dataclass(frozen=True)
class Project:
    """A project's folder, read.

    Attributes:
        folder: absolute.
        jobs: those declared, and one of its own for every pipeline.
    """

    folder: Path
    name: str
    description: str
    owners: tuple[str, ...]
    products: Mapping[str, DataProduct]
    pipelines: Mapping[str, Pipeline]
    models: Mapping[str, Model]
    jobs: Mapping[str, RunnableJob]
    landing: Landing | None = None

    @property
    def file(self) -> Path:
        """Its ``project.yaml``."""
        return self.folder / "project.yaml"
