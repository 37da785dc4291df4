"""Keys, tags and names of a landing, and the landing itself."""

from __future__ import annotations

import dagster as dg

from mlops_dagster.home import find_home
from mlops_dagster.landing import BatchRecord, Landing
from mlops_dagster.landing.declaration import declared_landing
from mlops_dagster.project import Project

SCORING_JOB, REPLAY_JOB, UPKEEP_JOB = "landing_scoring", "landing_replay", "landing_upkeep"
ACKNOWLEDGE_JOB = "landing_acknowledge"
GROUP = "landing"

# Tags of a run: the manifest that it scores, and the attempt at it.
BATCH_TAG = "landing/batch"
REQUEST_TAG = "landing/request"
# Of a run that failed because something could not be reached; it says nothing about the batch.
UNREACHABLE_TAG = "landing/unreachable"

RECONCILIATION, DRIFT, FRESHNESS, GIVEN_UP = "reconciliation", "drift", "freshness", "given_up"
UNSEEN = "unseen"  # of the quarantine; the others are checks of the scores


def scores_key(project: Project) -> dg.AssetKey:
    """``project/landing/scores``."""
    return dg.AssetKey([project.name, GROUP, "scores"])


def quarantine_key(project: Project) -> dg.AssetKey:
    """``project/landing/quarantine``."""
    return dg.AssetKey([project.name, GROUP, "quarantine"])


def landing_check_keys(project: Project) -> list[dg.AssetCheckKey]:
    """The checks of both tables; none without a landing."""
    if project.landing is None:
        return []
    names = [RECONCILIATION, FRESHNESS, GIVEN_UP]
    if project.landing.declared.drift is not None:
        names.append(DRIFT)
    scores = [dg.AssetCheckKey(scores_key(project), name) for name in names]
    return [*scores, dg.AssetCheckKey(quarantine_key(project), UNSEEN)]


def run_tags(record: BatchRecord) -> dict[str, str]:
    """The tags that tie a run to a batch."""
    return {BATCH_TAG: record.batch.id, REQUEST_TAG: record.request}


def project_landing(project: Project) -> Landing:
    """The landing, in the state folder of the project. Raises as ``open_landing`` does."""
    return declared_landing(project, home=find_home(project.folder))
