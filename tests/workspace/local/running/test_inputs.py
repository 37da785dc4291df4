"""Data inputs by mode: what a job does to its own changes what no other job reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_dagster.workspace.local import LocalWorkspace
from tests.workspace.conftest import WriteJob, at_rest

Run = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/rows.csv").write_text("1")
    return folder


@pytest.fixture
def run(local: LocalWorkspace, job: WriteJob, data: Path) -> Run:
    """Runs a command over the data in a mode to its end, and answers its log."""

    def run(command: str, mode: str = "ro_mount", path: str = "") -> str:
        submitted = local.jobs.submit(
            job(
                f"""
                command: >-
                  {command}
                inputs:
                  data: {{type: uri_folder, path: "{path or data}", mode: {mode}}}
                """
            )
        )
        record = local.jobs.wait(submitted.name, timeout=60)
        assert record.status == "Completed", record.error
        at_rest(local.home)
        assert not (local.home / "jobs" / record.name / "inputs").exists()
        return local.jobs.log(record.name)

    return run


SHOW = "cd ${{inputs.data}} && find . -type f && cat deep/rows.csv"

needs_capabilities = pytest.mark.skipif(
    sys.platform != "linux" and os.geteuid() == 0, reason="root cannot be bound here"
)


@needs_capabilities
@pytest.mark.parametrize("mode", ["ro_mount", "eval_mount", "direct"])
@pytest.mark.parametrize(
    "attempt",
    [
        "echo 2 > ${{inputs.data}}/deep/rows.csv",
        "echo 2 >> ${{inputs.data}}/deep/rows.csv",
        "echo 2 > ${{inputs.data}}/new.csv",
        "rm ${{inputs.data}}/deep/rows.csv",
        "mv ${{inputs.data}}/deep ${{inputs.data}}/moved",
        "mkdir ${{inputs.data}}/deep/new",
    ],
)
def test_a_read_only_mount_is_read_only_for_root_as_well(run: Run, mode: str, attempt: str) -> None:
    before = run(SHOW)
    assert run(f"({attempt}) 2> /dev/null && echo done || echo refused", mode) == "refused\n"
    assert run(SHOW) == before


@pytest.mark.parametrize("mode", ["download", "eval_download"])
def test_a_download_is_the_jobs_own_to_write(run: Run, mode: str) -> None:
    attempt = "echo 2 > ${{inputs.data}}/deep/rows.csv && echo 3 > ${{inputs.data}}/new.csv"
    assert run(f"{attempt} && cat ${{{{inputs.data}}}}/*.csv ${{{{inputs.data}}}}/*/*", mode) == (
        "3\n2\n"
    )
    assert run(SHOW) == "./deep/rows.csv\n1"


def test_an_output_of_one_step_is_the_same_for_all_that_read_it(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = """
        type: pipeline
        jobs:
          write:
            command: echo 1 > ${{outputs.out}}/x
            outputs: {out: {type: uri_folder}}
          spoil:
            command: rm -f ${{inputs.in}}/x; echo 2 > ${{inputs.in}}/x; echo 2 > ${{inputs.in}}/y
            inputs: {in: {path: "${{parent.jobs.write.outputs.out}}", mode: download}}
          read:
            command: cat ${{inputs.in}}/* > ${{outputs.out}}/all && echo ${{inputs.after}}
            inputs:
              in: {path: "${{parent.jobs.write.outputs.out}}"}
              after: {path: "${{parent.jobs.spoil.outputs.done}}"}
            outputs: {out: {type: uri_folder}}
    """.replace(
        "mode: download}}", "mode: download}}\n            outputs: {done: {type: uri_folder}}"
    )
    record = local.jobs.wait(local.jobs.submit(job(text)).name, timeout=60)
    assert record.status == "Completed", record.error
    (step,) = [each for each in local.jobs.list(parent=record.name) if each.step == "read"]
    assert (local.data.local_path(step.outputs["out"].uri) / "all").read_text() == "1\n"


def test_a_copy_of_an_input_can_be_an_output(
    local: LocalWorkspace, job: WriteJob, data: Path
) -> None:
    text = f"""
        command: cp -rp ${{{{inputs.data}}}}/. ${{{{outputs.out}}}} && cp -rp ${{{{inputs.data}}}} outputs/
        inputs: {{data: {{type: uri_folder, path: "{data}"}}}}
        outputs: {{out: {{type: uri_folder}}}}
    """
    record = local.jobs.wait(local.jobs.submit(job(text)).name, timeout=60)
    assert record.status == "Completed", record.error
    out = local.data.local_path(record.outputs["out"].uri)
    assert (out / "deep/rows.csv").read_text() == "1"
    at_rest(local.home)
    shutil.rmtree(out.parent)


def test_what_somebody_put_into_a_datastore_is_mounted_where_it_lies(
    local: LocalWorkspace, run: Run
) -> None:
    folder = local.home / "datastores/workspaceblobstore/lake"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/rows.csv").write_text("mine")
    path = "azureml://datastores/workspaceblobstore/paths/lake"
    assert run("echo ${{inputs.data}}", path=path) == f"{folder}\n"


_AS_NOBODY = """
import os, tempfile
from pathlib import Path
from mlops_dagster.system.files import make_read_only, remove_tree
from mlops_dagster.workspace.local.storage.inputs import lay_out_input

os.setuid(65534)
with tempfile.TemporaryDirectory(dir="/tmp") as folder:
    source, own = Path(folder, "source"), Path(folder, "own")
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_text("1")
    make_read_only(source)
    place = lay_out_input(source, None, own)
    for attempt in ((place / "new").touch, (place / "deep/file").unlink):
        try:
            attempt()
        except PermissionError:
            print("refused")
    remove_tree(own)
    print(own.exists())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_mount_of_a_user_who_is_not_root_is_read_only_and_can_be_removed_again() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY], capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == ["refused", "refused", "False"], ran.stderr
