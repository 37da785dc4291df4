"""What a plan keeps of a sweep: the search, and what each trial runs.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlops_dagster.workspace.local.kinds import command
from mlops_dagster.workspace.local.kinds.sweep.sampling import check_sampling
from mlops_dagster.workspace.local.kinds.sweep.search import Search

if TYPE_CHECKING:
    from mlops_dagster.aml.job import Step


def search_of(step: Step) -> Search:
    """What the sweep of a step looks for."""
    sweep = step.sweep
    assert sweep is not None  # noqa: S101 - the kind of the step says so
    limits = sweep.limits.model_dump(exclude_none=True)
    return Search(
        search_space=sweep.search_space,
        goal=sweep.goal,
        primary_metric=sweep.primary_metric,
        sampling=sweep.sampling,
        early_termination=sweep.early_termination,
        **limits,
    )


def body(step: Step, fill: Callable[[str], str]) -> dict[str, Any]:
    """The search, and what each trial runs.

    Raises InvalidRequest where the sampling cannot draw from the search space.
    """
    search = search_of(step)
    check_sampling(search)
    integers = [name for name, spec in step.component.inputs.items() if spec.type == "integer"]
    return {
        "search": asdict(search),
        "integers": integers,
        "trial": command.body(step, fill),
    }
