"""Whether the landing keeps its promises: each row in one table, once, and nothing waits unseen."""

# No `from __future__ import annotations`: Dagster compares the op's annotations with its classes.

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from mlops_dagster.defs.landing.keys import (
    ACKNOWLEDGE_JOB,
    FRESHNESS,
    GIVEN_UP,
    RECONCILIATION,
    UNSEEN,
    project_landing,
    quarantine_key,
    scores_key,
)
from mlops_dagster.defs.landing.quarantine import unseen_drops
from mlops_dagster.defs.tables import markdown_table
from mlops_dagster.landing import BatchOutcome, DropState, Landing, Status, differences, status
from mlops_dagster.landing.values import now
from mlops_dagster.project import Project

_MOST = 20
_CHANGES = "state"


def reconciliation(landing: Landing, outcomes: Iterable[BatchOutcome]) -> dg.AssetCheckResult:
    """Looks for every row of these batches in the tables themselves, drop by drop."""
    outcomes = list(outcomes)
    wrong = [each for done in outcomes for each in differences(landing, batch=done.batch)]
    drops = sum(len(done.drops) for done in outcomes)
    lines = [
        (each.drop.path, each.rows, each.scored, each.quarantined, each.problem)
        for each in wrong[:_MOST]
    ]
    table = markdown_table(("drop", "rows in", "scored", "quarantined", "problem"), lines)
    return dg.AssetCheckResult(
        check_name=RECONCILIATION,
        passed=not wrong,
        description=f"{len(wrong):,} of {drops:,} drops do not add up." if wrong else None,
        metadata={
            "drops": dg.MetadataValue.int(drops),
            "rows scored": dg.MetadataValue.int(sum(done.scored for done in outcomes)),
            "rows quarantined": dg.MetadataValue.int(sum(done.quarantined for done in outcomes)),
            **({"differences": dg.MetadataValue.md(table)} if wrong else {}),
        },
    )


@dataclass(frozen=True)
class LedgerFinding:
    """What a check has found that asks the ledger, and no table.

    Attributes:
        changes: what a new result is reported for; the description may say more, such as an age.
    """

    check: str
    passed: bool
    description: str
    changes: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    def asset_key(self, project: Project) -> dg.AssetKey:
        return quarantine_key(project) if self.check == UNSEEN else scores_key(project)

    def differs_from(self, before: dg.AssetCheckEvaluation | None) -> bool:
        """Whether Dagster shows something else; nothing to report is nothing to differ from."""
        if before is None:
            return not self.passed
        known = before.metadata.get(_CHANGES)
        return before.passed != self.passed or (known is not None and known.value != self.changes)

    def result(self) -> dg.AssetCheckResult:
        """As the result of a run."""
        return dg.AssetCheckResult(
            passed=self.passed,
            severity=self.severity,
            description=self.description,
            metadata=self._metadata(),
        )

    def evaluation(self, project: Project, target: Target | None) -> dg.AssetCheckEvaluation:
        """As an event of its own, beside any run, about the newest materialization."""
        return dg.AssetCheckEvaluation(
            asset_key=self.asset_key(project),
            check_name=self.check,
            passed=self.passed,
            severity=self.severity,
            description=self.description,
            metadata=self._metadata(),
            target_materialization_data=target,
        )

    def _metadata(self) -> dict[str, dg.MetadataValue]:
        return {_CHANGES: dg.MetadataValue.text(self.changes)}


def ledger_findings(project: Project, ledger: Status, unseen: int) -> tuple[LedgerFinding, ...]:
    """What the ledger says of drops that wait, were given up, or lie in quarantine unseen."""
    return (_freshness(project, ledger), _given_up(ledger), _unseen(unseen))


def ledger_checks(project: Project) -> Iterator[dg.AssetChecksDefinition]:
    """The same as checks of the assets: run with every batch, by the button, and by the sensor."""
    assert project.landing is not None  # noqa: S101 - called where there is one
    within = _text(project.landing.declared.fresh_within)
    scores, quarantine = scores_key(project), quarantine_key(project)
    yield _ledger_check(project, scores, FRESHNESS, f"No drop has waited for more than {within}.")
    yield _ledger_check(project, scores, GIVEN_UP, "No drop was given up.")
    description = "All that lies in quarantine has been seen (a warning)."
    yield _ledger_check(project, quarantine, UNSEEN, description)


def _ledger_check(
    project: Project, asset: dg.AssetKey, name: str, description: str
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, description=description)
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        landing = project_landing(project)
        unseen = len(unseen_drops(context.instance, project, landing)) if name == UNSEEN else 0
        findings = ledger_findings(project, status(landing), unseen)
        return next(each for each in findings if each.check == name).result()

    return check


def _freshness(project: Project, ledger: Status) -> LedgerFinding:
    assert project.landing is not None  # noqa: S101 - called where there is one
    within = project.landing.declared.fresh_within
    waited = now() - ledger.oldest if ledger.oldest is not None else timedelta(0)
    description = "Nothing waits."
    if ledger.oldest is not None:
        age = f"The oldest open drop has waited {_text(waited)}"
        description = f"{age}; {_text(within)} are allowed."
    passed = waited <= within
    return LedgerFinding(FRESHNESS, passed, description, "in time" if passed else "late")


def _given_up(ledger: Status) -> LedgerFinding:
    drops = ledger.drops.get(DropState.FAILED, 0)
    description = "No drop was given up."
    if drops:
        description = (
            f"{drops:,} drops were given up: `mlops landing list --state failed` says why, "
            "`mlops landing replay DROP` offers one again."
        )
    return LedgerFinding(GIVEN_UP, not drops, description, f"{drops} given up")


def _unseen(drops: int) -> LedgerFinding:
    description = "Nothing lies in quarantine that has not been seen."
    if drops:
        files = "file lies" if drops == 1 else "files lie"
        description = (
            f"{drops:,} {files} in quarantine, whole or in part, that nobody has seen. The asset's "
            f"page says why; `mlops landing replay DROP` offers one again, and the job "
            f"{ACKNOWLEDGE_JOB} says that all have been seen."
        )
    warning = dg.AssetCheckSeverity.WARN
    return LedgerFinding(UNSEEN, not drops, description, f"{drops} unseen", warning)


def _text(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
