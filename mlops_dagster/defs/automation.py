"""Assets that follow what they are made from, by themselves: ``automation:`` of project.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg


def automation_condition(automation: str | None) -> dg.AutomationCondition[Any] | None:
    """The condition that ``automation:`` names, for every partition and not the newest alone.

    ``eager``: made again whenever what it is made from was. ``on_missing``: made where it is
    missing, also where it was missing before Dagster first looked; tried once.
    """
    condition = dg.AutomationCondition
    if automation == "eager":
        return condition.eager().without(condition.in_latest_time_window())
    if automation == "on_missing":
        handled = condition.newly_requested() | condition.newly_updated()
        return (
            condition.missing().newly_true().since(handled)
            & ~condition.any_deps_missing()
            & ~condition.any_deps_in_progress()
            & ~condition.in_progress()
        ).with_label("on_missing")
    return None


def automation_sensors(
    assets: Iterable[dg.AssetsDefinition],
) -> Iterator[dg.AutomationConditionSensorDefinition]:
    """The sensor that carries the conditions out, on from the start; none where there are none.

    Dagster makes one by itself, but off, and then ``automation:`` would do nothing.
    """
    if any(spec.automation_condition is not None for each in assets for spec in each.specs):
        yield dg.AutomationConditionSensorDefinition(
            "automation_sensor",
            target=dg.AssetSelection.all(),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Materializes the assets that project.yaml gives an `automation`.",
        )
