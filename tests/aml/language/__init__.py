"""The table of Azure ML's YAML, construct by construct, from which docs/azure-ml-yaml.md is made."""

from __future__ import annotations

from tests.aml.language import assets, commands, data, pipelines
from tests.aml.language.row import Row

SECTIONS: dict[str, tuple[Row, ...]] = {
    "Every job": commands.HEADER,
    "Commands": commands.COMMAND,
    "Environments": commands.ENVIRONMENT,
    "Compute, resources, services": commands.COMPUTE,
    "Inputs": data.INPUTS,
    "Outputs": data.OUTPUTS,
    "Pipelines": pipelines.PIPELINES,
    "Parallel steps": pipelines.PARALLEL,
    "Sweeps": pipelines.SWEEPS,
    "Spark": pipelines.SPARK,
    "Control flow": pipelines.CONTROL,
    "What only Azure runs": pipelines.ONLY_ON_AZURE,
    "Components": assets.COMPONENTS,
    "Data, models, environments, compute": assets.ASSETS,
    "Schedules": assets.SCHEDULES,
}

ROWS = tuple(row for rows in SECTIONS.values() for row in rows)
