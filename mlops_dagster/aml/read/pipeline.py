"""Pipelines: steps, the settings they share, and how they feed one another.

Source: learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from mlops_dagster.aml.document import short_repr
from mlops_dagster.aml.graph import cycle, dependencies
from mlops_dagster.aml.job import ParallelFor, PipelineComponent, PipelineSettings
from mlops_dagster.aml.node import Node
from mlops_dagster.aml.read.binding_checks import Scope
from mlops_dagster.aml.read.command import read_compute
from mlops_dagster.aml.read.legacy_syntax import follow_step_inputs
from mlops_dagster.aml.read.step import ComponentReader, finish_step, read_draft

FIELDS = ("jobs", "settings", "compute")
_SETTINGS = (
    "default_compute", "default_datastore", "continue_on_step_failure", "force_rerun",
    "continue_run_on_failed_optional_input", "on_init", "on_finalize", "default_compute_target",
    "skip_validation", "component_skip_validation",
)  # fmt: skip
_STEP_NAME = re.compile(r"[a-z_][a-z\d_]*")


def read_steps(
    node: Node,
    common: dict[str, Any],
    read_component: ComponentReader,
    *,
    untyped_inputs: frozenset[str] = frozenset(),
) -> PipelineComponent:
    """A pipeline, with the fields that every component has in ``common``.

    Args:
        read_component: reads what a step names as its component.
        untyped_inputs: inputs of the pipeline whose type is settled by the step that takes them.
    """
    settings = read_settings(node.at("settings"))
    jobs = node.at("jobs")
    if not jobs.is_set or jobs.data == {}:
        node.add_problem("The pipeline has no steps.", "Name them under `jobs:`.")
    for field in ("on_init", "on_finalize"):
        name = getattr(settings, field)
        if name is not None and jobs.is_set and name not in jobs.data:
            known = f"Its steps are {', '.join(map(str, jobs.data))}."
            node.at("settings").at(field).add_problem(f"There is no step {name!r}.", known)
    outputs = common["outputs"]
    written = {name: entry for name, entry in jobs.entries() if _check_step_name(entry, name)}
    named = follow_step_inputs(written)
    drafts = {
        name: read_draft(entry, name, named, outputs, read_component)
        for name, entry in named.items()
    }
    read = {name: draft for name, draft in drafts.items() if draft is not None}
    scope = Scope(
        inputs=common["inputs"],
        outputs=outputs,
        steps={name: draft.bindable_outputs if draft else None for name, draft in drafts.items()},
        untyped_inputs=untyped_inputs,
    )
    in_loop = {
        draft.component.body for draft in read.values() if isinstance(draft.component, ParallelFor)
    }
    steps = {
        name: finish_step(draft, scope, in_loop=name in in_loop) for name, draft in read.items()
    }
    pipeline = PipelineComponent(**common, jobs=steps, settings=settings)
    _check_cycle(jobs, pipeline)
    return pipeline


def read_settings(node: Node) -> PipelineSettings:
    """What all steps share."""
    if not node.expect_mapping():
        return PipelineSettings()
    node.warn_of_unknown_fields(_SETTINGS)
    for name in ("default_compute", "default_datastore"):
        text = node.text(name)
        if text is not None and not text.startswith(("azureml:", "${{")) and text != "serverless":
            node.at(name).add_problem(f"Found {short_repr(text)}.", f"Write azureml:{text}.")
    datastore = node.text("default_datastore")
    return PipelineSettings(
        default_compute=read_compute(node.at("default_compute")),
        default_datastore=read_compute(node.at("default_datastore")) if datastore else None,
        continue_on_step_failure=node.boolean("continue_on_step_failure", default=True),
        force_rerun=node.boolean("force_rerun", default=False),
        continue_run_on_failed_optional_input=node.boolean(
            "continue_run_on_failed_optional_input", default=True
        ),
        on_init=node.text("on_init"),
        on_finalize=node.text("on_finalize"),
    )


def _check_step_name(entry: Node, name: str) -> bool:
    if _STEP_NAME.fullmatch(name):
        return True
    better = re.sub(r"[^a-z\d_]", "_", name.lower()).lstrip("0123456789") or "step"
    remedy = f"Use lower-case letters, digits and underscores, such as {better!r}."
    entry.add_problem(f"{short_repr(name)} cannot be the name of a step.", remedy)
    return False


def _check_cycle(jobs: Node, pipeline: PipelineComponent) -> None:
    waits = dependencies(pipeline)
    for name in waits:
        waits[name].pop(name, None)  # a step bound to its own output is a mistake of that binding
    found = cycle(waits)
    if not found:
        return
    reasons = [waits[later][earlier] for earlier, later in pairwise(found)]
    start = jobs.at(found[0])
    start.add_problem(
        f"Steps wait for each other: {' -> '.join(found)} ({'; '.join(reasons)}).",
        "Take one of these bindings away.",
    )
