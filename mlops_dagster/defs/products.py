"""Data products: an asset each, with the checks of its rows.

A product that a pipeline makes is the newest output of the step that writes it; one that somebody
else provides is registered from its Azure ML data YAML. The checks run with the materialization,
so that the rows are read once. Broken rules of the schema and a wrong number of rows are blocking:
what is downstream in the same run does not start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_dagster.aml import load_data
from mlops_dagster.defs import asset_specs
from mlops_dagster.defs.automation import automation_condition
from mlops_dagster.defs.code_links import code_references
from mlops_dagster.defs.keys import group_name, product_key, step_key
from mlops_dagster.defs.materialized_outputs import MaterializedOutputs, latest_outputs
from mlops_dagster.defs.tables import (
    Violation,
    count_rows,
    first_rows,
    markdown_table,
    read_rows,
    table_files,
    violations,
)
from mlops_dagster.defs.workspace_asset import workspace_asset
from mlops_dagster.project import DataProduct, ProductInput, Project
from mlops_dagster.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

SCHEMA, ROWS, NULLS = "schema", "rows", "nulls"

_PREVIEW_ROWS = 5
_MOST_PREVIEW_COLUMNS = 20
_MOST_VIOLATIONS = 20
_SHOWN_EXAMPLES = 5


def product_assets(project: Project) -> Iterator[dg.AssetsDefinition]:
    """An asset for every data product."""
    for product in project.products.values():
        yield _product_asset(project, product)


def _product_asset(project: Project, product: DataProduct) -> dg.AssetsDefinition:
    key = product_key(project.name, product.name)
    origin = product.origin
    deps = [step_key(project.name, origin.pipeline, origin.step)] if origin else []
    spec = dg.AssetSpec(
        key,
        deps=deps,
        description=product.description or None,
        group_name=group_name(project.name, _group(project, product)),
        kinds={"azureml", *(product.kinds or ("table",))},
        owners=list(product.owners),
        partitions_def=asset_specs.partitions_definition(product.partitions),
        automation_condition=automation_condition(product.automation),
        freshness_policy=_freshness(product),
        metadata={
            "dagster/uri": f"azureml:{product.asset}",
            **code_references(project.folder, _code_locations(project, product)),
            **(asset_specs.column_schema(product.schema) if product.schema else {}),
        },
    )

    def make(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
        return _materialize(context, workspace, project, product)

    return workspace_asset(spec, make, checks=_check_specs(key, product))


def _group(project: Project, product: DataProduct) -> str:
    """A result that no pipeline reads stands with the pipeline that writes it."""
    feeds = (feed for pipeline in project.pipelines.values() for feed in pipeline.feeds.values())
    is_read = any(isinstance(feed, ProductInput) and feed.product == product.name for feed in feeds)
    return product.origin.pipeline if product.origin and not is_read else "data_products"


def _freshness(product: DataProduct) -> dg.FreshnessPolicy | None:
    within = product.fresh_within
    return dg.FreshnessPolicy.time_window(fail_window=within) if within else None


def _code_locations(project: Project, product: DataProduct) -> Iterator[tuple[Path, int, str]]:
    yield project.file, product.line, "data product"
    if product.provided is not None:
        yield product.provided, 0, "data asset"
    if product.schema is not None:
        yield product.schema.file, 0, "schema"


def _check_specs(key: dg.AssetKey, product: DataProduct) -> Iterator[dg.AssetCheckSpec]:
    if product.schema is not None:
        description = f"The rows keep the rules of {product.schema.file.name}."
        yield dg.AssetCheckSpec(SCHEMA, asset=key, blocking=True, description=description)
    if product.rows is not None:
        most = f" and at most {product.rows.at_most:,}" if product.rows.at_most else ""
        description = f"At least {product.rows.at_least:,}{most} rows."
        yield dg.AssetCheckSpec(ROWS, asset=key, blocking=True, description=description)
    if product.nulls:
        shares = (f"{column} {share:.1%}" for column, share in product.nulls.items())
        description = f"No more nulls than: {', '.join(shares)}."
        yield dg.AssetCheckSpec(NULLS, asset=key, description=description)


def _materialize(
    context: dg.AssetExecutionContext, workspace: Workspace, project: Project, product: DataProduct
) -> dg.MaterializeResult[Any]:
    outputs = _product_outputs(context, workspace, project, product)
    (found,) = outputs.outputs.values()
    rows = _Rows(product, workspace.data.local_path(found["asset"] or found["uri"]))
    return dg.MaterializeResult(
        metadata={
            "uri": dg.MetadataValue.text(found["uri"]),
            **({"version": dg.MetadataValue.text(found["asset"])} if found["asset"] else {}),
            **rows.metadata(partitioned=context.has_partition_key),
            **outputs.as_metadata(),
        },
        check_results=list(rows.checks()),
        data_version=dg.DataVersion(found["asset"] or found["uri"]),
    )


def _product_outputs(
    context: dg.AssetExecutionContext, workspace: Workspace, project: Project, product: DataProduct
) -> MaterializedOutputs:
    """Where the product lies: its step's newest output, or its newly registered version."""
    if product.origin is not None:
        origin = product.origin
        key = step_key(project.name, origin.pipeline, origin.step)
        step = latest_outputs(context, key, partitioned=product.partitions is not None)
        if origin.output not in step.outputs:
            name = key.to_user_string()
            raise dg.Failure(f"{name} has no output {origin.output!r}; materialize it again.")
        return MaterializedOutputs({product.name: step.outputs[origin.output]}, step.lineage)
    assert product.provided is not None  # noqa: S101 - a product has one of the two
    asset = load_data(product.provided)
    version = workspace.data.register(
        product.asset,
        asset.path,
        type=asset.type,
        version=asset.version,
        description=asset.description,
    )
    output = {"type": version.type, "uri": version.uri, "asset": version.reference}
    return MaterializedOutputs({product.name: output}, {})


@dataclass
class _Rows:
    """The rows of one materialization, read at most once."""

    product: DataProduct
    path: Path

    def metadata(self, *, partitioned: bool) -> dict[str, Any]:
        if not self.files:
            return {}
        count = "dagster/partition_row_count" if partitioned else "dagster/row_count"
        return {
            count: dg.MetadataValue.int(self.count),
            "files": dg.MetadataValue.int(len(self.files)),
            "path": dg.MetadataValue.path(str(self.path)),
            "preview": dg.MetadataValue.md(_preview(self.files[0])),
        }

    def checks(self) -> Iterator[dg.AssetCheckResult]:
        product = self.product
        if product.schema is not None:
            yield self._schema_check(product.schema.file)
        if product.rows is not None:
            most = product.rows.at_most
            fits = self.count >= product.rows.at_least and (most is None or self.count <= most)
            yield dg.AssetCheckResult(
                check_name=ROWS, passed=fits, metadata={"rows": dg.MetadataValue.int(self.count)}
            )
        if product.nulls:
            yield self._nulls_check()

    @cached_property
    def files(self) -> list[Path]:
        return table_files(self.path)

    @cached_property
    def count(self) -> int:
        return count_rows(self.files)

    @cached_property
    def frame(self) -> pd.DataFrame:
        return read_rows(self.files)

    def _schema_check(self, schema: Path) -> dg.AssetCheckResult:
        if not self.files:
            return _failed_check(SCHEMA, "There is no Parquet or CSV file to read.")
        try:
            broken = violations(self.frame, schema, self.files)
        except ValueError as error:
            return _failed_check(SCHEMA, str(error))
        if not broken:
            return dg.AssetCheckResult(check_name=SCHEMA, passed=True)
        rules = "rule is" if len(broken) == 1 else "rules are"
        worst = broken[0]
        return dg.AssetCheckResult(
            check_name=SCHEMA,
            passed=False,
            description=f"{len(broken)} {rules} broken, first {worst.column} {worst.rule}.",
            metadata={
                "violations": dg.MetadataValue.md(_violation_table(broken)),
                "rows": dg.MetadataValue.int(sum(each.count for each in broken)),
            },
        )

    def _nulls_check(self) -> dg.AssetCheckResult:
        lines, passed = [], True
        for column, most in self.product.nulls.items():
            there = column in self.frame.columns
            share = float(self.frame[column].isna().mean()) if there and self.count else 0.0
            fits = there and share <= most
            passed = passed and fits
            found = f"{share:.2%}" if there else "no such column"
            lines.append((column, found, f"{most:.2%}", "yes" if fits else "no"))
        table = markdown_table(("column", "nulls", "allowed", "fits"), lines)
        return dg.AssetCheckResult(
            check_name=NULLS, passed=passed, metadata={"nulls": dg.MetadataValue.md(table)}
        )


def _failed_check(check: str, reason: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=check, passed=False, description=reason)


def _preview(file: Path) -> str:
    rows = first_rows(file, _PREVIEW_ROWS)
    columns = [str(column) for column in rows.columns[:_MOST_PREVIEW_COLUMNS]]
    return markdown_table(columns, rows.iloc[:, :_MOST_PREVIEW_COLUMNS].itertuples(index=False))


def _violation_table(broken: list[Violation]) -> str:
    lines = [
        (each.column, each.rule, each.count, "; ".join(each.examples[:_SHOWN_EXAMPLES]))
        for each in broken[:_MOST_VIOLATIONS]
    ]
    return markdown_table(("column", "rule", "rows", "for example"), lines)
