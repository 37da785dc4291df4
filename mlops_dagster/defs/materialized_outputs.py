"""The outputs that an asset's newest materialization left, for the assets that are made from it.

They are kept in the materialization's own metadata, so that any step can be run alone, on demand,
against the newest upstream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

_OUTPUTS = "outputs"
_LINEAGE = "lineage"
_JOB = "job"
_VERSION = "version"
_LOOK_BACK = 50


@dataclass(frozen=True)
class MaterializedOutputs:
    """The outputs of one materialization, and the jobs behind them.

    Attributes:
        outputs: by name, each ``{"type", "uri", "asset"}``; asset is ``azureml:name:version`` or
            None.
        lineage: the job behind every asset that this one was made from, itself last.
    """

    outputs: Mapping[str, Mapping[str, Any]]
    lineage: Mapping[str, str]

    def as_metadata(self) -> dict[str, dg.MetadataValue]:
        """The form in which a materialization keeps it."""
        return {
            _OUTPUTS: dg.MetadataValue.json(dict(self.outputs)),
            # A list: Dagster sorts the keys of a mapping, and the order tells which job came later.
            _LINEAGE: dg.MetadataValue.json(
                [{"asset": asset, "job": job} for asset, job in self.lineage.items()]
            ),
        }


def latest_outputs(
    context: dg.AssetExecutionContext, key: dg.AssetKey, *, partitioned: bool
) -> MaterializedOutputs:
    """What the newest materialization of an upstream asset left.

    Args:
        partitioned: take that of the partition that is being materialized.

    Raises dagster.Failure where there is none.
    """
    partition = context.partition_key if partitioned else None
    for metadata in _materializations(context.instance, key, partition):
        if _OUTPUTS in metadata:
            return _from_metadata(metadata)
    where = f" for {partition}" if partition else ""
    name = key.to_user_string()
    raise dg.Failure(f"{name} has not been materialized{where} yet; materialize it first.")


def outputs_of_version(
    context: dg.AssetExecutionContext, key: dg.AssetKey, version: str
) -> MaterializedOutputs | None:
    """What the materialization left that made this version, if it is one of the latest."""
    for metadata in _materializations(context.instance, key, None):
        if _OUTPUTS in metadata and _VERSION in metadata and metadata[_VERSION].value == version:
            return _from_metadata(metadata)
    return None


def is_materialized_from(context: dg.AssetExecutionContext, job: str) -> bool:
    """Whether one of the latest materializations of the asset at hand came from this job."""
    partition = context.partition_key if context.has_partition_key else None
    return any(
        _JOB in metadata and metadata[_JOB].value == job
        for metadata in _materializations(context.instance, context.asset_key, partition)
    )


def _from_metadata(metadata: Mapping[str, dg.MetadataValue[Any]]) -> MaterializedOutputs:
    outputs: Mapping[str, Any] = metadata[_OUTPUTS].value
    lineage = metadata[_LINEAGE].value if _LINEAGE in metadata else []
    return MaterializedOutputs(outputs, {each["asset"]: each["job"] for each in lineage})


def _materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None
) -> Iterator[Mapping[str, dg.MetadataValue[Any]]]:
    """The metadata of the latest materializations, newest first."""
    records_filter = dg.AssetRecordsFilter(
        asset_key=key, asset_partitions=None if partition is None else [partition]
    )
    for record in instance.fetch_materializations(records_filter, limit=_LOOK_BACK).records:
        if record.asset_materialization is not None:
            yield record.asset_materialization.metadata
