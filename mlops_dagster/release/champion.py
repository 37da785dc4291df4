"""The champion of a model: the version that passed its gate last, which is what scoring takes.

It is the version whose tag ``champion_since`` is the newest, and only ``judge_version`` sets that
tag. Whoever scores asks for the champion, so that a version that failed is never used, whichever
way a run was started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlops_dagster.errors import NotFound
from mlops_dagster.project import Model
from mlops_dagster.release.gate import RuleResult, gate_results
from mlops_dagster.workspace.ports import Models, ModelVersion

CHAMPION_SINCE = "champion_since"
METRIC_TAG = "metric."


@dataclass(frozen=True)
class GateDecision:
    """What the gate decided about one version.

    Attributes:
        champion: the champion after the decision; None while no version has passed.
        was_champion: whether the version was the champion before it was judged.
    """

    version: ModelVersion
    champion: ModelVersion | None
    was_champion: bool
    results: Sequence[RuleResult]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def summary(self) -> str:
        """The decision as a sentence."""
        reference = self.version.reference
        if self.passed:
            return f"{reference} {'stays' if self.was_champion else 'is now'} the champion."
        if self.was_champion:
            return (
                f"{reference} no longer passes the gate; it stays the champion until another "
                "version passes."
            )
        if self.champion is None:
            return f"{reference} is refused; there is no champion yet."
        return f"{reference} is refused; the champion is {self.champion.reference}."


def get_champion(models: Models, name: str) -> ModelVersion:
    """The version of a model that passed its gate last. Raises NotFound where none did."""
    champion = find_champion(models, name)
    if champion is None:
        remedy = f"No version of {name!r} has passed its gate yet; see the gate of its newest one."
        raise NotFound("champion of model", name, remedy=remedy)
    return champion


def find_champion(models: Models, name: str) -> ModelVersion | None:
    """The version of a model that passed its gate last; None where none did."""
    passed = [version for version in models.list(name) if CHAMPION_SINCE in version.tags]
    return max(passed, key=lambda version: version.tags[CHAMPION_SINCE], default=None)


def judge_version(
    models: Models, model: Model, version: ModelVersion, metrics: Mapping[str, float]
) -> GateDecision:
    """Put a version through the gate, and make it the champion where it passes.

    Its metrics are kept as tags of the version, for later versions to be compared with.
    """
    tags = {f"{METRIC_TAG}{name}": repr(value) for name, value in metrics.items()}
    version = models.tag(version.name, version.version, tags)
    champion = find_champion(models, model.name)
    was_champion = champion is not None and champion.version == version.version
    rival = None if champion is None or was_champion else _recorded_metrics(champion)
    decision = GateDecision(version, champion, was_champion, gate_results(model, metrics, rival))
    if not decision.passed or was_champion:
        return decision
    since = datetime.now(UTC).isoformat(timespec="microseconds")
    version = models.tag(version.name, version.version, {CHAMPION_SINCE: since})
    return GateDecision(version, version, was_champion, decision.results)


def _recorded_metrics(version: ModelVersion) -> dict[str, float]:
    return {
        tag.removeprefix(METRIC_TAG): float(value)
        for tag, value in version.tags.items()
        if tag.startswith(METRIC_TAG)
    }
