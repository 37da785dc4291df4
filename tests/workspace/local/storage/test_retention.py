"""What the state folder no longer needs goes by itself; what something refers to stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidDocument
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.software import Software, build_environment
from mlops_dagster.workspace.local.storage.downloads import Downloads
from mlops_dagster.workspace.local.storage.retention import (
    FILE,
    remove_if_due,
    remove_unneeded,
)
from tests.workspace.conftest import WriteJob, at_rest
from tests.workspace.local.conftest import Site

Run = Callable[..., str]


@pytest.fixture
def state(local: LocalWorkspace) -> State:
    return State(local.home)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.py").write_text("print(1)")
    return folder


@pytest.fixture
def run(local: LocalWorkspace, job: WriteJob) -> Run:
    """Runs a job to its end, and answers its name."""

    def run(text: str) -> str:
        submitted = local.jobs.submit(job(text))
        record = local.jobs.wait(submitted.name, timeout=60)
        assert record.status == "Completed", record.error
        at_rest(local.home)
        return submitted.name

    return run


def age(state: State, days: float) -> None:
    """Make it look as if nothing had happened in the state folder for so many days."""
    before = time.time() - days * 86_400
    with state.write() as connection:
        connection.execute(
            "UPDATE jobs SET created_at = :at, ended_at = iif(ended_at IS NULL, NULL, :at)",
            {"at": before},
        )
    for folder, _, files in os.walk(state.home):
        for name in ("", *files):
            os.utime(Path(folder, name), (before, before), follow_symlinks=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def uploads(state: State) -> set[str]:
    return names(state.home / "datastores/workspaceblobstore/LocalUpload")


def test_what_an_old_job_needed_goes_and_what_it_made_stays(
    local: LocalWorkspace, state: State, run: Run, code: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("1")
    name = run(
        f"""
        command: cat ${{{{inputs.i}}}} > ${{{{outputs.o}}}}/o && echo kept > outputs/kept
        code: {code}
        inputs: {{i: {{type: uri_file, path: "{tmp_path}/in.csv"}}}}
        outputs: {{o: {{type: uri_folder}}}}
        """
    )
    age(state, 29)
    assert remove_unneeded(state, 30) == []
    age(state, 31)
    assert len(remove_unneeded(state, 30)) == 3
    assert (uploads(state), names(state.home / "snapshots")) == (set(), set())
    assert names(state.home / "jobs") == set()
    record = local.jobs.get(name)
    assert (local.data.local_path(record.outputs["o"].uri) / "o").read_text() == "1"
    kept = local.data.local_path(f"azureml:{name}:outputs.artifacts")
    assert (kept / "outputs/kept").read_text() == "kept\n"
    assert local.jobs.log(name) == ""


def test_the_same_code_and_input_can_be_used_again_afterwards(
    state: State, run: Run, code: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("1")
    text = f"""
        command: cat main.py ${{{{inputs.i}}}}
        code: {code}
        inputs: {{i: {{type: uri_file, path: "{tmp_path}/in.csv"}}}}
    """
    run(text)
    age(state, 31)
    remove_unneeded(state, 30)
    run(text)
    assert len(uploads(state)) == len(names(state.home / "snapshots")) == 1


def test_what_is_used_again_stays(state: State, run: Run, code: Path) -> None:
    run(f"command: cat main.py\ncode: {code}")
    age(state, 31)
    second = run(f"command: cat ./main.py\ncode: {code}")
    remove_unneeded(state, 30)
    assert len(names(state.home / "snapshots")) == 1
    assert names(state.home / "jobs") == {second}


def test_what_a_model_or_data_asset_refers_to_stays(
    local: LocalWorkspace, state: State, run: Run, code: Path, tmp_path: Path
) -> None:
    name = run(
        f"""
        command: cp main.py ${{{{outputs.m}}}}
        code: {code}
        outputs: {{m: {{type: custom_model, name: kept}}}}
        """
    )
    (tmp_path / "rows.csv").write_text("1")
    local.data.register("rows", str(tmp_path / "rows.csv"), type="uri_file")
    age(state, 1000)
    remove_unneeded(state, 30)
    assert names(state.home / "jobs") == {name}
    assert len(names(state.home / "snapshots")) == 1
    assert local.data.local_path("azureml:rows:1").read_text() == "1"
    assert (local.models.download("kept", "1", tmp_path / "to") / "main.py").exists()


def test_what_a_job_that_has_not_ended_refers_to_stays(
    local: LocalWorkspace, state: State, job: WriteJob, code: Path, tmp_path: Path, index: Path
) -> None:
    environment = build_environment(Software(requirements=("greeting==1.0",)), state.home)
    text = f"command: until [ -e {tmp_path}/go ]; do sleep 0.05; done; cat main.py\ncode: {code}"
    name = local.jobs.submit(job(text)).name
    age(state, 31)
    remove_unneeded(state, 30)
    assert environment.exists()
    (tmp_path / "go").touch()
    assert local.jobs.wait(name, timeout=60).status == "Completed"
    at_rest(local.home)


def test_environments_and_downloads_go_when_nobody_has_used_them(
    state: State, index: Path, site: Site
) -> None:
    for version in ("1.0", "2.0"):
        build_environment(Software(requirements=(f"greeting=={version}",)), state.home)
    site.files = {"/old.csv": (b"1", '"a"'), "/new.csv": (b"1", '"a"')}
    for name in ("old", "new"):
        Downloads(state.home).fetch(f"{site.url}/{name}.csv")
    age(state, 31)
    used = build_environment(Software(requirements=("greeting==2.0",)), state.home)
    site.files["/new.csv"] = (b"2", '"b"')
    newest = Downloads(state.home).fetch(f"{site.url}/new.csv")
    remove_unneeded(state, 30)
    environments = state.home / "environments"
    assert {path for path in environments.iterdir() if path.is_dir()} == {used.parent.parent}
    downloads = state.home / "cache/downloads"
    assert set(downloads.rglob("*.csv")) == {newest}


def test_it_is_done_once_a_day_when_a_job_has_ended(state: State, run: Run) -> None:
    old = run("command: echo old")
    age(state, 31)
    new = run("command: echo new")
    assert names(state.home / "jobs") == {new}
    age(state, 31)
    (state.home / ".retention").touch()
    assert remove_if_due(state) == []
    age(state, 31)
    for days in ("forever", "40"):
        (state.home / FILE).write_text(f"days: {days}")
        age(state, 31)
        assert remove_if_due(state) == []
    (state.home / FILE).write_text("days: 0.5")
    age(state, 31)
    assert [path.name for path in remove_if_due(state)] == [new]
    assert old != new


@pytest.mark.parametrize("text", ["days: soon", "days: -1", "days: .nan", "weeks: 4", "30"])
def test_a_wrong_retention_is_refused_when_the_workspace_is_opened(
    text: str, mlops_home: Path
) -> None:
    mlops_home.mkdir()
    (mlops_home / FILE).write_text(text)
    with pytest.raises(InvalidDocument, match=rf"{FILE}:1"):
        LocalWorkspace(mlops_home)
