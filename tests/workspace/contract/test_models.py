"""Registered models: immutable versions that are identified by their files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.errors import Conflict, InvalidRequest, NotFound
from mlops_dagster.workspace import Workspace

MLMODEL = "flavors:\n  python_function:\n    loader_module: m\nmlflow_version: 3.17.2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "trained model"
    path.mkdir()
    (path / "MLmodel").write_text(MLMODEL)
    (path / "model.pkl").write_bytes(b"1")
    return path


def test_a_version_keeps_its_files_whatever_becomes_of_their_source(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    known = workspace.models.register("delays", str(folder), tags={"a": "b"}, description="d")
    (folder / "model.pkl").write_bytes(b"2")
    assert workspace.models.get("delays") == known
    path = workspace.models.download("delays", "1", tmp_path / "to")
    assert (path / "model.pkl").read_bytes() == b"1"
    assert workspace.data.local_path(known.reference).joinpath("model.pkl").read_bytes() == b"1"


def test_the_digest_tells_the_files_apart(workspace: Workspace, folder: Path) -> None:
    one, two = (workspace.models.register("delays", str(folder)) for _ in range(2))
    assert (one.version, two.version) == ("1", "2")
    assert one.digest == two.digest
    assert one.digest.startswith("sha256:")
    (folder / "model.pkl").write_bytes(b"2")
    assert workspace.models.register("delays", str(folder)).digest != one.digest


def test_the_same_output_of_a_job_is_registered_once(workspace: Workspace, folder: Path) -> None:
    first = workspace.models.register("delays", str(folder), job="j1")
    assert workspace.models.register("delays", str(folder), job="j1") == first
    assert workspace.models.register("delays", str(folder), job="j2").version == "2"
    assert workspace.models.register("other", str(folder), job="j1").version == "1"


def test_a_version_that_exists_takes_no_other_files(workspace: Workspace, folder: Path) -> None:
    first = workspace.models.register("delays", str(folder), version="5")
    assert workspace.models.register("delays", str(folder), version="5") == first
    (folder / "model.pkl").write_bytes(b"2")
    with pytest.raises(Conflict, match="azureml:delays:5 exists"):
        workspace.models.register("delays", str(folder), version="5")
    assert workspace.models.register("delays", str(folder)).version == "6"


def test_tags_of_a_version_can_change_and_nothing_else(workspace: Workspace, folder: Path) -> None:
    known = workspace.models.register("delays", str(folder), tags={"stage": "dev", "old": "1"})
    tagged = workspace.models.tag("delays", "1", {"stage": "prod", "old": None})
    assert tagged.tags == {"stage": "prod"}
    assert (tagged.digest, tagged.created_at) == (known.digest, known.created_at)
    with pytest.raises(NotFound):
        workspace.models.tag("delays", "2", {"a": "b"})


def test_a_download_keeps_the_last_name_and_overwrites_nothing(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    workspace.models.register("delays", str(folder))
    to = tmp_path / "to"
    assert workspace.models.download("delays", None, to) == to / "trained model"
    assert workspace.models.download("delays", None, to) == to / "trained model"
    assert [path.name for path in to.iterdir()] == ["trained model"]
    (to / "trained model" / "mine").write_text("work")
    with pytest.raises(Conflict):
        workspace.models.download("delays", None, to)
    assert (to / "trained model" / "mine").read_text() == "work"


def test_a_single_file_can_be_a_model(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    file = folder / "model.pkl"
    workspace.models.register("delays", str(file), type="custom_model")
    assert workspace.models.download("delays", None, tmp_path / "to").name == "model.pkl"


def test_an_mlflow_model_says_what_it_is(workspace: Workspace, folder: Path) -> None:
    properties = workspace.models.register("delays", str(folder)).properties
    assert "python_function" in properties["flavors"]
    assert properties["mlflow_version"] == "3.17.2"
    (folder / "MLmodel").unlink()
    with pytest.raises(InvalidRequest, match="MLmodel"):
        workspace.models.register("delays", str(folder))
    assert workspace.models.register("delays", str(folder), type="custom_model").version == "2"


@pytest.mark.parametrize(
    ("name", "version", "type"),
    [
        ("../x", None, "mlflow_model"),
        ("x/y", None, "mlflow_model"),
        ("x", "..", "mlflow_model"),
        ("x", None, "pickle"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(
    workspace: Workspace, folder: Path, name: str, version: str | None, type: str
) -> None:
    with pytest.raises(InvalidRequest):
        workspace.models.register(name, str(folder), type=type, version=version)
    assert workspace.models.list() == []


def test_what_does_not_exist_is_not_found(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        workspace.models.get("delays")
    with pytest.raises(NotFound):
        workspace.models.download("delays", None, tmp_path)
    with pytest.raises(NotFound):
        workspace.models.register("delays", str(tmp_path / "gone"))


@pytest.mark.slow
def test_thirty_registrations_by_six_processes_give_thirty_versions(
    workspace: Workspace, folder: Path
) -> None:
    code = (
        "from mlops_dagster.workspace import connect\n"
        f"models = connect({workspace.name!r}).models\n"
        f"for _ in range(5): models.register('delays', {str(folder)!r})\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [process.wait(120) for process in processes] == [0] * 6
    versions = workspace.models.list("delays")
    assert sorted(int(item.version) for item in versions) == list(range(1, 31))
    assert len({item.uri for item in versions}) == 30
