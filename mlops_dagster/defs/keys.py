"""Asset keys, groups and pools, which start with the project's name, and names of ops."""

from __future__ import annotations

import re

import dagster as dg


def product_key(project: str, product: str) -> dg.AssetKey:
    """``project/product``."""
    return dg.AssetKey([project, product])


def step_key(project: str, pipeline: str, step: str) -> dg.AssetKey:
    """``project/pipeline/step``."""
    return dg.AssetKey([project, pipeline, step])


def model_key(project: str, model: str) -> dg.AssetKey:
    """``project/models/model``."""
    return dg.AssetKey([project, "models", model])


def group_name(project: str, group: str) -> str:
    """``project/group``: groups of several projects stand apart in one graph."""
    return f"{project}/{group}"


def compute_pool(project: str, compute: str | None) -> str | None:
    """``project/compute``; None where the target is known only when the step runs."""
    return f"{project}/{compute}" if compute and not re.search(r"\s|\$", compute) else None


def op_name(key: dg.AssetKey) -> str:
    """A name for the op of an asset; Dagster takes letters, digits and underscores."""
    return "__".join(re.sub(r"\W", "_", part) for part in key.path)
