"""The fields of ``project.yaml``, each checked by itself; read.py joins them with the pipelines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mlops_dagster.aml.base import Value
from mlops_dagster.aml.inputs_outputs import Scalar
from mlops_dagster.project.field_types import (
    AssetName,
    Automation,
    Cron,
    Moment,
    Name,
    Owner,
    Share,
    Span,
    TimeZone,
    Unit,
)
from mlops_dagster.project.landing_yaml import LandingDeclaration


class Rows(Value):
    """How many rows a data product has, at least and at most; both inclusive."""

    at_least: Annotated[int, Field(ge=0)] = 1
    at_most: int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Rows:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most ({self.at_most}) is below at_least ({self.at_least}).")
        return self


class Partitions(Value):
    """Time windows, each run by itself.

    Attributes:
        every: the length of a window.
        first: the start of the first window.
        last: the start of the last one; None where a new one begins with time.
        timezone: in which the windows begin.
    """

    every: Unit
    first: Moment
    last: Moment | None = None
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _ordered(self) -> Partitions:
        if self.last is not None and self.last < self.first:
            raise ValueError(
                f"last ({self.last:%Y-%m-%d}) is before first ({self.first:%Y-%m-%d})."
            )
        return self


class InputDeclaration(Value):
    """What feeds one input of a pipeline; exactly one of product, model and value is set.

    Attributes:
        name: of a product or model; what a text alone stands for.
        product: a data product.
        path: below the product's folder; ``%Y``, ``%m`` ... stand for the partition's start.
        model: a model of this project; its champion's exact version is taken.
        value: a literal, in which ``%Y``, ``%m`` ... stand for the partition's start.
    """

    name: str | None = None
    product: str | None = None
    path: str | None = None
    model: str | None = None
    value: Scalar | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one(self) -> InputDeclaration:
        sources = ("name", "product", "model", "value")
        given = [source for source in sources if getattr(self, source) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"Found {found}; exactly one of product, model and value is expected.")
        if self.path is not None and self.product is None:
            raise ValueError("path is a path below a product; name the product.")
        return self


class DataProductDeclaration(Value):
    """A data product and what is expected of it.

    Attributes:
        source: ``PIPELINE.OUTPUT``; None where a pipeline's output, or ``data``, has its name.
        data: an Azure ML data YAML, for a product that somebody else provides.
        schema_file: Pandera's YAML (``pandera.io``).
        nulls: the largest share of nulls allowed in a column, from 0 to 1.
        fresh_within: the age at which its newest materialization is too old.
    """

    source: str | None = Field(default=None, alias="from")
    data: str | None = None
    schema_file: str | None = Field(default=None, alias="schema")
    description: str = ""
    owners: tuple[Owner, ...] = ()
    kinds: tuple[str, ...] = Field(default=(), max_length=8)
    rows: Rows | None = None
    nulls: dict[str, Share] = {}
    fresh_within: Span | None = None
    automation: Automation | None = None

    @model_validator(mode="after")
    def _one_source(self) -> DataProductDeclaration:
        if self.source is not None and self.data is not None:
            raise ValueError("Found from and data; a product comes from one of them.")
        return self


class PipelineDeclaration(Value):
    """An Azure ML pipeline job, and what its own YAML leaves open.

    Attributes:
        inputs: what feeds an input other than its YAML says; a name alone is a product or model.
    """

    file: str
    description: str = ""
    owners: tuple[Owner, ...] = ()
    inputs: dict[str, InputDeclaration] = {}
    partitions: Partitions | None = None
    automation: Automation | None = None


class ModelDeclaration(Value):
    """What a version of a model must reach to become the champion.

    Attributes:
        source: ``PIPELINE.OUTPUT``; None where a pipeline registers an output under its name.
        metric: the MLflow metric that decides.
        goal: whether more of it is better.
        at_least, at_most: a bound on it, as the goal asks.
        baseline: the metric of a rival that it must not be worse than, where it was logged.
        tolerance: how much worse than the champion it may be, in the metric's own unit.
    """

    source: str | None = Field(default=None, alias="from")
    metric: str
    goal: Literal["maximize", "minimize"] = "maximize"
    at_least: float | None = None
    at_most: float | None = None
    baseline: str | None = None
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    description: str = ""
    owners: tuple[Owner, ...] = ()
    automation: Automation | None = None

    @property
    def bound(self) -> float | None:
        """What ``metric`` must reach."""
        return self.at_least if self.goal == "maximize" else self.at_most

    @model_validator(mode="after")
    def _bound_fits_goal(self) -> ModelDeclaration:
        wrong = "at_most" if self.goal == "maximize" else "at_least"
        if getattr(self, wrong) is not None:
            right = "at_least" if wrong == "at_most" else "at_most"
            raise ValueError(f"Found {wrong} with goal {self.goal}; write {right}.")
        return self


class JobDeclaration(Value):
    """Pipelines that run together, on demand and on a schedule.

    Attributes:
        cron: when; None for on demand only.
        timezone: in which ``cron`` is read.
    """

    pipelines: tuple[str, ...] = Field(min_length=1)
    cron: Cron | None = None
    timezone: TimeZone = "UTC"
    description: str = ""


class ProjectDeclaration(Value):
    """``project.yaml`` as it is written."""

    name: Name
    description: str = ""
    owners: tuple[Owner, ...] = ()
    data_products: dict[AssetName, DataProductDeclaration] = {}
    pipelines: dict[Name, PipelineDeclaration] = {}
    models: dict[AssetName, ModelDeclaration] = {}
    jobs: dict[Name, JobDeclaration] = {}
    landing: LandingDeclaration | None = None
