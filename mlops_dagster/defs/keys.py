"""Asset keys, which start with the project's name, and the names of the ops that make them."""

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


def op_name(key: dg.AssetKey) -> str:
    """A name for the op of an asset; Dagster takes letters, digits and underscores."""
    return "__".join(re.sub(r"\W", "_", part) for part in key.path)
