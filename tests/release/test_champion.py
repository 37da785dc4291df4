"""The champion: which version is it, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster import connect
from mlops_dagster.errors import NotFound
from mlops_dagster.project import Model, Origin
from mlops_dagster.release.champion import (
    GateDecision,
    find_champion,
    get_champion,
    judge_version,
)
from mlops_dagster.workspace.ports import Models

ORIGIN = Origin("train", "register", "model", "custom_model", "half")


def model(bound: float = 0.6) -> Model:
    return Model("half", ORIGIN, "auc", True, bound, None, 0.01, line=1)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    (tmp_path / "project.yaml").write_text("name: half\n")
    return connect(project=tmp_path).models


def judge(models: Models, tmp_path: Path, auc: float, *, bound: float = 0.6) -> GateDecision:
    """Register a version and put it through the gate."""
    folder = tmp_path / f"auc-{auc}"
    folder.mkdir(exist_ok=True)
    (folder / "weights.txt").write_text(str(auc))
    version = models.register("half", str(folder), type="custom_model")
    return judge_version(models, model(bound), version, {"auc": auc})


def test_the_first_version_that_passes_is_the_champion(models: Models, tmp_path: Path) -> None:
    refused = judge(models, tmp_path, 0.5)
    assert refused.summary == "azureml:half:1 is refused; there is no champion yet."
    assert find_champion(models, "half") is None

    passed = judge(models, tmp_path, 0.7)
    assert passed.summary == "azureml:half:2 is now the champion."
    assert get_champion(models, "half").version == "2"


def test_a_version_that_is_refused_leaves_the_champion(models: Models, tmp_path: Path) -> None:
    judge(models, tmp_path, 0.7)
    refused = judge(models, tmp_path, 0.65)
    assert refused.summary == "azureml:half:2 is refused; the champion is azureml:half:1."
    assert get_champion(models, "half").version == "1"
    within_tolerance = judge(models, tmp_path, 0.695)
    assert within_tolerance.passed
    assert get_champion(models, "half").version == "3"


def test_a_champion_that_is_judged_again_is_compared_with_no_other(
    models: Models, tmp_path: Path
) -> None:
    first = judge(models, tmp_path, 0.7)
    again = judge_version(models, model(), first.version, {"auc": 0.7})
    assert again.summary == "azureml:half:1 stays the champion."
    stricter = judge_version(models, model(bound=0.8), first.version, {"auc": 0.7})
    assert not stricter.passed
    assert stricter.summary == (
        "azureml:half:1 no longer passes the gate; it stays the champion until another version "
        "passes."
    )
    assert get_champion(models, "half").version == "1"


def test_a_model_without_a_champion_says_so(models: Models) -> None:
    with pytest.raises(NotFound, match="There is no champion of model 'half'"):
        get_champion(models, "half")
