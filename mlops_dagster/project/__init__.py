"""What a project declares: ``project.yaml``, and the Azure ML YAML that it points at, as values.

It says only what Azure ML's YAML cannot: which data products there are and what is expected of
them, when pipelines run and over which partitions, what a model must reach. Which output makes a
product or a model, and which inputs they feed, is read from the pipelines' own YAML.
"""

from __future__ import annotations

from mlops_dagster.project.field_types import Automation
from mlops_dagster.project.lineage import step_feeds
from mlops_dagster.project.project import (
    Column,
    DataProduct,
    Feed,
    GivenInput,
    Landing,
    LandingPlace,
    Model,
    ModelInput,
    Origin,
    Pipeline,
    ProductInput,
    Project,
    RunnableJob,
    TableSchema,
)
from mlops_dagster.project.project_yaml import Partitions, Rows
from mlops_dagster.project.read import FILE_NAME, read_project

__all__ = [
    "FILE_NAME",
    "Automation",
    "Column",
    "DataProduct",
    "Feed",
    "GivenInput",
    "Landing",
    "LandingPlace",
    "Model",
    "ModelInput",
    "Origin",
    "Partitions",
    "Pipeline",
    "ProductInput",
    "Project",
    "Rows",
    "RunnableJob",
    "TableSchema",
    "read_project",
    "step_feeds",
]
