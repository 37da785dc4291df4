"""What lies in quarantine now, and which of it nobody has seen.

A person says that it has been seen by running the job ``landing_acknowledge``; an observation of
the asset keeps which drops that were. A drop that is offered again and comes back is unseen anew.
"""

from __future__ import annotations

import dagster as dg

from mlops_dagster.defs.landing.keys import quarantine_key
from mlops_dagster.landing import DropRecord, DropState, Landing, drops
from mlops_dagster.project import Project

_SEEN = "seen"


def quarantined_drops(landing: Landing) -> list[DropRecord]:
    """The drops of which a row, or the whole file, lies in quarantine; in order of arrival."""
    return [
        record
        for record in drops(landing, limit=None)
        if record.state is DropState.QUARANTINED
        or (record.outcome is not None and record.outcome.quarantined)
    ]


def unseen_drops(
    instance: dg.DagsterInstance, project: Project, landing: Landing
) -> list[DropRecord]:
    """The drops in quarantine that were not there when somebody last acknowledged them."""
    seen = _seen_offers(instance, project)
    return [record for record in quarantined_drops(landing) if _offer(record) not in seen]


def seen_observation(project: Project, landing: Landing) -> dg.AssetObservation:
    """Keeps that all that lies in quarantine now has been seen."""
    records = quarantined_drops(landing)
    return dg.AssetObservation(
        quarantine_key(project),
        description=f"{len(records):,} files in quarantine have been seen.",
        metadata={_SEEN: dg.MetadataValue.json([_offer(record) for record in records])},
    )


def last_seen(instance: dg.DagsterInstance, project: Project) -> int:
    """Identifies the last observation; 0 where there is none."""
    records = instance.fetch_observations(quarantine_key(project), limit=1).records
    return records[0].storage_id if records else 0


def _seen_offers(instance: dg.DagsterInstance, project: Project) -> set[str]:
    records = instance.fetch_observations(quarantine_key(project), limit=1).records
    observation = records[0].asset_observation if records else None
    value = observation.metadata.get(_SEEN) if observation is not None else None
    return set(value.value) if isinstance(value, dg.JsonMetadataValue) else set()  # type: ignore[arg-type]


def _offer(record: DropRecord) -> str:
    return f"{record.drop.id}.{record.offer}"
