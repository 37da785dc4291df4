"""Whether the landing keeps its promises: rows in are rows out, and nothing waits unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from mlops_dagster.defs.landing.keys import (
    FRESHNESS,
    GIVEN_UP,
    RECONCILIATION,
    project_landing,
    scores_key,
)
from mlops_dagster.defs.tables import markdown_table
from mlops_dagster.landing import BatchOutcome, DropState, Landing, Status, differences, status
from mlops_dagster.landing.values import now
from mlops_dagster.project import Project

_MOST = 20


def reconciliation(landing: Landing, outcomes: Iterable[BatchOutcome]) -> dg.AssetCheckResult:
    """Counts the rows of these batches in the tables themselves, drop by drop."""
    outcomes = list(outcomes)
    found = [each for done in outcomes for each in differences(landing, batch=done.batch)]
    drops = sum(len(done.drops) for done in outcomes)
    lines = [(each.drop.path, each.rows, each.scored, each.quarantined) for each in found[:_MOST]]
    table = markdown_table(("drop", "rows in", "scored", "quarantined"), lines)
    return dg.AssetCheckResult(
        check_name=RECONCILIATION,
        passed=not found,
        description=f"{len(found):,} of {drops:,} drops do not add up." if found else None,
        metadata={
            "drops": dg.MetadataValue.int(drops),
            "rows scored": dg.MetadataValue.int(sum(done.scored for done in outcomes)),
            "rows quarantined": dg.MetadataValue.int(sum(done.quarantined for done in outcomes)),
            **({"differences": dg.MetadataValue.md(table)} if found else {}),
        },
    )


@dataclass(frozen=True)
class Finding:
    """What a check that asks the ledger alone has found."""

    check: str
    passed: bool
    description: str

    def evaluation(self, project: Project) -> dg.AssetCheckEvaluation:
        """As an event of its own, beside any run."""
        return dg.AssetCheckEvaluation(
            asset_key=scores_key(project),
            check_name=self.check,
            passed=self.passed,
            description=self.description,
        )


def ledger_findings(project: Project, found: Status) -> tuple[Finding, ...]:
    """What the ledger says of drops that wait and of drops that were given up."""
    assert project.landing is not None  # noqa: S101 - called where there is one
    within = project.landing.declared.fresh_within
    waited = now() - found.oldest if found.oldest is not None else timedelta(0)
    given_up = found.drops.get(DropState.FAILED, 0)
    description = f"The oldest open drop has waited {_text(waited)}; {_text(within)} are allowed."
    return (
        Finding(FRESHNESS, waited <= within, description if found.oldest else "Nothing waits."),
        Finding(
            GIVEN_UP,
            not given_up,
            f"{given_up:,} drops were given up: `mlops landing list --state failed` says why, "
            "`mlops landing replay DROP` offers one again."
            if given_up
            else "No drop was given up.",
        ),
    )


def ledger_checks(project: Project) -> Iterator[dg.AssetChecksDefinition]:
    """The same as checks of the asset: run with every batch, by the button, and by the sensor."""
    assert project.landing is not None  # noqa: S101 - called where there is one
    within = _text(project.landing.declared.fresh_within)
    yield _ledger_check(project, FRESHNESS, f"No drop has waited for more than {within}.")
    yield _ledger_check(project, GIVEN_UP, "No drop was given up.")


def _ledger_check(project: Project, name: str, description: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=scores_key(project), name=name, description=description)
    def check() -> dg.AssetCheckResult:
        found = {
            each.check: each for each in ledger_findings(project, status(project_landing(project)))
        }[name]
        return dg.AssetCheckResult(passed=found.passed, description=found.description)

    return check


def _text(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
