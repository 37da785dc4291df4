from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlops_dagster.cli.dagster.instance import find_place
from mlops_dagster.errors import InvalidRequest, WorkspaceUnavailable


@pytest.fixture
def root(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (here / "workspace.yaml").write_text("load_from: []\n")
    monkeypatch.delenv("MLOPS_HOME")
    return here


def test_dagster_lives_in_the_home_with_settings_that_it_takes(root: Path) -> None:
    from dagster import DagsterInstance
    from dagster._core.instance.config import PoolGranularity

    (root / "projects" / "p").mkdir(parents=True)
    place = find_place(root / "projects" / "p")
    assert place.dagster_home == root / ".mlops" / "dagster"
    assert place.environment()["DAGSTER_HOME"] == str(place.dagster_home)
    assert place.environment()["MLOPS_HOME"] == str(root / ".mlops")
    with DagsterInstance.from_config(str(place.dagster_home)) as instance:
        assert not instance.telemetry_enabled
        config = instance.get_concurrency_config()
    # Counted by runs: a run that is killed keeps no slot of its compute target's pool.
    assert config.pool_config.pool_granularity is PoolGranularity.RUN
    assert config.run_queue_config is not None
    assert config.run_queue_config.max_concurrent_runs == 2


def test_settings_that_were_changed_stay_as_they_are(root: Path) -> None:
    settings = find_place().dagster_home / "dagster.yaml"
    assert yaml.safe_load(settings.read_text())["telemetry"] == {"enabled": False}
    settings.write_text("nux: {enabled: true}\n")
    find_place()
    assert settings.read_text() == "nux: {enabled: true}\n"


def test_a_dagster_home_of_ones_own_is_taken_and_not_written_to(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "own"))
    assert find_place().dagster_home == tmp_path / "own"
    assert list((tmp_path / "own").iterdir()) == []


def test_no_workspace_file_is_a_wrong_request(here: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no workspace\.yaml"):
        find_place()


def test_a_folder_that_cannot_be_made_is_named(root: Path) -> None:
    (root / ".mlops").write_text("in the way")
    with pytest.raises(WorkspaceUnavailable, match="cannot be written"):
        find_place()
