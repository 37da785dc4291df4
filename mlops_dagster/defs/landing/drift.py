"""Whether the scores of a batch are far from those that the champion gave when it was evaluated.

Measured by the population stability index over the tenths of the reference: the sum, over the
bins, of ``(share - expected share) * ln(share / expected share)``. It says how far, not why: the
season may have changed, the data, or what the files hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_dagster.defs.keys import model_key, step_key
from mlops_dagster.defs.landing.keys import DRIFT
from mlops_dagster.defs.landing.pipeline import champion_model
from mlops_dagster.defs.materialized_outputs import outputs_of_version
from mlops_dagster.errors import MlopsError
from mlops_dagster.landing import BatchOutcome, Landing
from mlops_dagster.landing.committed import committed_scores
from mlops_dagster.project import Project
from mlops_dagster.release.champion import get_champion
from mlops_dagster.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

_BINS = 10
# An empty bin counts as this share, so that its logarithm exists.
_LEAST_SHARE = 1e-4


def drift(
    context: dg.AssetExecutionContext,
    project: Project,
    landing: Landing,
    workspace: Workspace,
    done: Sequence[BatchOutcome],
) -> dg.AssetCheckResult:
    """Compare the committed scores of these batches with the reference; warns, never blocks."""
    assert project.landing is not None  # noqa: S101 - the check is declared
    declared = project.landing.declared.drift
    assert declared is not None  # noqa: S101 - likewise
    try:
        reference = _reference(context, project, workspace)
        expected = _numbers(reference, declared.column)
        scores = _scores(landing, done, declared.column)
    except (KeyError, OSError, ValueError, MlopsError, dg.Failure) as error:
        description = f"There is nothing to compare with: {_one_line(error)}"
        return _result(passed=False, description=description)
    if len(scores) < declared.rows:
        description = f"{len(scores):,} rows are too few to tell; {declared.rows:,} are needed."
        return _result(passed=True, description=description, rows=len(scores))
    index = stability_index(expected, scores)
    sign = "above" if index > declared.psi else "within"
    description = f"PSI {index:.3f} of {declared.column}, {sign} {declared.psi:g}."
    return _result(
        passed=index <= declared.psi,
        description=description,
        rows=len(scores),
        psi=index,
        mean=float(scores.mean()),
        **{"reference mean": float(expected.mean())},
    )


def stability_index(expected: np.ndarray[Any, Any], actual: np.ndarray[Any, Any]) -> float:
    """The population stability index of two samples; missing values count as a bin of their own."""
    import numpy as np

    inner = np.unique(np.nanquantile(expected, np.linspace(0, 1, _BINS + 1)[1:-1]))

    def shares(sample: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        missing = np.isnan(sample)
        places = np.searchsorted(inner, sample[~missing], side="right")
        counts = np.append(np.bincount(places, minlength=len(inner) + 1), missing.sum())
        return np.clip(counts / len(sample), _LEAST_SHARE, None)

    before, after = shares(expected), shares(actual)
    return float(((after - before) * np.log(after / before)).sum())


def _reference(context: dg.AssetExecutionContext, project: Project, workspace: Workspace) -> Path:
    """The file that the run left from which the champion was made."""
    assert project.landing is not None  # noqa: S101 - the check is declared
    landing = project.landing
    origin, drift_declared = landing.reference, landing.declared.drift
    assert origin is not None and drift_declared is not None  # noqa: S101, PT018 - likewise
    model = champion_model(landing)
    if model is None:
        raise ValueError("the pipeline takes no model of this project")
    version = get_champion(workspace.models, model).reference
    outputs = outputs_of_version(context, model_key(project.name, model), version)
    step = step_key(project.name, origin.pipeline, origin.step).to_user_string()
    if outputs is None or step not in outputs.lineage:
        raise ValueError(f"{step} is not known to have made {version}")
    output = workspace.jobs.get(outputs.lineage[step]).outputs[origin.output]
    inside = drift_declared.reference.partition("/")[2]
    return workspace.data.local_path(output.uri) / inside


def _numbers(file: Path, column: str) -> np.ndarray[Any, Any]:
    import pandas as pd

    read = pd.read_csv if file.suffix == ".csv" else pd.read_parquet
    values = read(file)[column].to_numpy(dtype="float64", na_value=float("nan"))
    if not len(values):
        raise ValueError(f"{file.name} has no rows")
    return values


def _scores(landing: Landing, done: Sequence[BatchOutcome], column: str) -> np.ndarray[Any, Any]:
    import numpy as np

    parts = [
        part.column(0).to_numpy(zero_copy_only=False).astype("float64")
        for each in done
        for part in committed_scores(landing, each.batch, each.drops, [column])
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _result(*, passed: bool, description: str, **figures: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=DRIFT,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={name: dg.MetadataValue.float(float(value)) for name, value in figures.items()},
    )


def _one_line(error: Exception) -> str:
    message = error.description if isinstance(error, dg.Failure) else str(error)
    return " ".join((message or type(error).__name__).split())
