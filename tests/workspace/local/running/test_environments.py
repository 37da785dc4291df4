"""The Python that a job finds: what it lacks is told, and nothing that a job does changes it."""

from __future__ import annotations

import shlex
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops_dagster.errors import Unsupported
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobOptions, JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, nothing_is_left_of, until
from tests.workspace.local.job_logs import without_notes

GREETING = {"dependencies": ["pip", {"pip": ["greeting==1.0"]}]}
SAY = "python -c 'import greeting; print(greeting.VERSION)'"
LACKING = "These packages of its environment are not installed here"


def command(text: str, conda: Any = GREETING, **more: Any) -> dict[str, Any]:
    """A command job as the content of its YAML."""
    return {"command": text, "environment": {"image": "i", "conda_file": conda}, **more}


def run(
    local: LocalWorkspace, job: WriteJob, content: Any, *, name: str | None = None, **options: Any
) -> JobRecord:
    """Submit a job, through a workspace of its own where there are options."""
    opened = LocalWorkspace(local.home, options=JobOptions(**options)) if options else local
    submitted = opened.jobs.submit(job(yaml.safe_dump(content)), name=name)
    return local.jobs.wait(submitted.name, timeout=60)


def test_what_the_interpreter_at_hand_lacks_is_told_before_and_in_the_log(
    local: LocalWorkspace, job: WriteJob
) -> None:
    said: list[str] = []
    conda = {"dependencies": ["python=3.8", "pytest", {"pip": ["greeting==1.0"]}]}
    record = run(local, job, command("echo ran", conda), notify=said.append)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    line = f"{LACKING}: python=3.8 (it is {here}), greeting==1.0."
    assert said == [line]
    assert local.jobs.log(record.name) == f"[mlops] {line}\nran\n"


def test_each_step_of_a_pipeline_tells_of_its_own(local: LocalWorkspace, job: WriteJob) -> None:
    said: list[str] = []
    fine = {"dependencies": ["pytest"]}
    steps = {"one": command("echo 1"), "two": command("echo 2", fine)}
    record = run(local, job, {"type": "pipeline", "jobs": steps}, notify=said.append)
    assert said == [f"one: {LACKING}: greeting==1.0."]
    logs = {step.step: local.jobs.log(step.name) for step in local.jobs.list(parent=record.name)}
    assert LACKING in logs["one"]
    assert logs["two"] == "2\n"


def test_an_environment_that_only_azure_knows_is_told_once_and_not_refused(
    local: LocalWorkspace, job: WriteJob
) -> None:
    said: list[str] = []
    curated = "azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
    steps = {
        "one": {"command": "echo 1", "environment": curated},
        "two": {"command": "echo 2", "environment": curated},
        "three": {"command": "echo 3", "environment": {"image": "mcr.example/x:1"}},
    }
    content = {"type": "pipeline", "jobs": steps}
    record = run(local, job, content, notify=said.append, isolate=True)
    assert record.status is JobStatus.COMPLETED
    assert [line.partition(";")[0] for line in said] == [
        f"The environment {curated} is known on Azure only",
        "The image mcr.example/x:1 is not used on this machine",
    ]


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_isolated_a_job_runs_in_an_environment_of_its_own_and_the_next_finds_it_offline(
    local: LocalWorkspace, job: WriteJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = f"{SAY}; python -c 'import pytest'; echo $?"
    record = run(local, job, command(found), isolate=True)
    log = local.jobs.log(record.name)
    assert "[mlops] Building its environment: Python 3." in log
    assert without_notes(log).startswith("1.0\n")
    assert log.endswith("1\n")  # no pytest there
    monkeypatch.setenv("UV_FIND_LINKS", "/nowhere")
    again = run(local, job, command(f"{SAY}; echo again"), isolate=True)
    assert local.jobs.log(again.name) == "1.0\nagain\n"


@pytest.mark.usefixtures("index")
def test_an_environment_that_cannot_be_built_fails_the_job_with_uvs_words(
    local: LocalWorkspace, job: WriteJob
) -> None:
    conda = {"dependencies": [{"pip": ["nowhere-to-be-found"]}]}
    record = run(local, job, command("echo ran", conda), isolate=True)
    assert record.status is JobStatus.FAILED
    assert "uv pip install said" in (record.error or "")
    assert "nowhere-to-be-found" in (record.error or "")
    assert "nowhere-to-be-found was not found" in local.jobs.log(record.name)
    assert "\nran\n" not in local.jobs.log(record.name)


def test_isolated_what_only_conda_has_is_refused_before_anything_runs(
    local: LocalWorkspace, job: WriteJob
) -> None:
    conda = {"dependencies": ["r-base=4.3", "cudatoolkit"]}
    steps = {"one": command("true"), "two": command("true", conda)}
    with pytest.raises(Unsupported, match=r"r-base, cudatoolkit \(in jobs\.two\.environment\)"):
        run(local, job, {"type": "pipeline", "jobs": steps}, isolate=True)
    assert local.jobs.list() == []


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_a_compute_target_can_ask_for_isolation(
    tmp_path: Path, mlops_home: Path, job: WriteJob
) -> None:
    targets = tmp_path / "project" / ".cloud" / "local" / "compute"
    targets.mkdir(parents=True)
    for name, tags in (("apart", '{isolate: "true"}'), ("plain", "{}")):
        (targets / f"{name}.yml").write_text(
            f"name: {name}\ntype: amlcompute\nsize: Standard_D2\ntags: {tags}\n"
        )
    workspace = LocalWorkspace.open(project=tmp_path / "project")
    steps = {name: command(SAY, compute=f"azureml:{name}") for name in ("apart", "plain")}
    record = run(workspace, job, {"type": "pipeline", "jobs": steps})
    found = {step.step: step.status for step in workspace.jobs.list(parent=record.name)}
    assert found == {"apart": JobStatus.COMPLETED, "plain": JobStatus.FAILED}
    workspace.close()
    nothing_is_left_of(mlops_home)


def test_a_job_is_canceled_while_its_environment_is_built(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = _silent_index(monkeypatch)
    try:
        isolated = LocalWorkspace(local.home, options=JobOptions(isolate=True))
        record = isolated.jobs.submit(job(yaml.safe_dump(command("echo ran"))))
        until(lambda: "Building" in local.jobs.log(record.name))
        local.jobs.cancel(record.name)
        assert local.jobs.wait(record.name, timeout=20).status is JobStatus.CANCELED
    finally:
        silent.close()
    assert not list((tmp_path / ".mlops" / "environments").glob("*/"))


@pytest.mark.usefixtures("index")
@pytest.mark.slow
@pytest.mark.parametrize(
    "install",
    ["pip install -q greeting==2.0", "python -m pip install -q greeting==2.0",
     "uv pip install -q greeting==2.0", "uv pip install -q --system greeting==2.0",
     "bash setup.sh"],
)  # fmt: skip
def test_what_a_command_installs_is_gone_with_it(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, install: str
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "setup.sh").write_text("pip install -q greeting==2.0\n")
    # What the environment below has is there as well: pytest, and this very package.
    text = f"{install} && {SAY} && python -c 'import pytest, mlops_dagster; print(1)'"
    content = command(text, {"dependencies": ["pip"]}, code=str(code))
    record = run(local, job, content)
    assert (record.status, local.jobs.log(record.name)) == (JobStatus.COMPLETED, "2.0\n1\n")
    after = run(local, job, command(f"{SAY} 2>/dev/null || echo none", {"dependencies": []}))
    assert local.jobs.log(after.name) == "none\n"
    assert not (tmp_path / ".mlops" / "jobs" / record.name / "python").exists()


def test_a_command_that_calls_conda_is_told_that_it_installs_nothing(
    local: LocalWorkspace, job: WriteJob
) -> None:
    text = "conda install -y numpy; echo status $?"
    record = run(local, job, command(text, {"dependencies": []}))
    log = local.jobs.log(record.name)
    assert "Its command installs packages with conda" in log
    assert log.endswith("status 1\n")


@pytest.mark.slow
def test_a_substituted_interpreter_is_what_python_means(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    program = tmp_path / "it's mine" / "python3.x"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho mine\nexec {shlex.quote(sys.executable)} "$@"\n')
    program.chmod(0o755)
    file = tmp_path / "stand-ins.yml"
    file.write_text(yaml.safe_dump({"environments": {"azureml:gpu": {"python": str(program)}}}))
    said: list[str] = []
    content = {"command": "python -c 'print(1)'; python3 -c ''", "environment": "azureml:gpu:3"}
    record = run(local, job, content, substitutions=file, notify=said.append)
    assert local.jobs.log(record.name) == "mine\n1\nmine\n"
    assert said == []


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_substituted_requirements_are_built_from_the_homes_own_file(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "base.txt").write_text("greeting==2.0\n")
    (tmp_path / "packages.txt").write_text("-r base.txt\n")
    entry = {"mcr.example/curated": {"requirements": "../packages.txt"}}
    (tmp_path / ".mlops" / "substitutions.yml").write_text(yaml.safe_dump({"environments": entry}))
    content = {"command": SAY, "environment": {"image": "mcr.example/curated:12"}}
    record = run(local, job, content)
    assert without_notes(local.jobs.log(record.name)) == "2.0\n"


def test_a_step_runs_again_where_its_environment_has_changed(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "packages.txt").write_text("pytest\n")
    conda = tmp_path / "conda.yml"
    conda.write_text("dependencies: [{pip: [-r packages.txt]}]\n")
    content = {"type": "pipeline", "jobs": {"one": command("echo 1", "./conda.yml")}}

    def reused() -> bool:
        record = run(local, job, content)
        return local.jobs.list(parent=record.name)[0].reused_from is not None

    assert [reused(), reused()] == [False, True]
    (tmp_path / "packages.txt").write_text("pytest>=1\n")
    assert [reused(), reused()] == [False, True]


@pytest.mark.parametrize("beside", [True, False])
def test_a_steps_environment_comes_before_its_components(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, *, beside: bool
) -> None:
    component = command("true", {"dependencies": ["of-component"]}, name="c", type="command")
    (tmp_path / "component.yml").write_text(yaml.safe_dump(component))
    step: dict[str, Any] = {"type": "command", "component": "./component.yml"}
    if beside:
        step["environment"] = {"image": "i", "conda_file": {"dependencies": ["of-step"]}}
    said: list[str] = []
    run(local, job, {"type": "pipeline", "jobs": {"one": step}}, notify=said.append)
    assert said == [f"one: {LACKING}: {'of-step' if beside else 'of-component'}."]


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_the_trials_of_a_sweep_run_in_its_environment(local: LocalWorkspace, job: WriteJob) -> None:
    log = "python -c 'import greeting; assert greeting.VERSION == \"1.0\"'"
    trial = command(f"{log} && echo ${{{{search_space.x}}}}")
    content = {
        "type": "sweep",
        "trial": trial,
        "search_space": {"x": {"type": "choice", "values": [1, 2]}},
        "sampling_algorithm": "grid",
        "objective": {"goal": "maximize", "primary_metric": "score"},
        "limits": {"max_total_trials": 2},
    }
    record = run(local, job, content, isolate=True)
    trials = local.jobs.list(parent=record.name)
    assert {trial.status for trial in trials} == {JobStatus.COMPLETED}


@pytest.mark.usefixtures("index")
@pytest.mark.slow
def test_the_workers_of_a_parallel_step_run_in_its_environment(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("a")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(
        "import greeting\ndef init(): pass\n"
        "def run(files): return [greeting.VERSION for _ in files]\n"
    )
    step = {
        "type": "parallel",
        "mini_batch_size": "1",
        "input_data": "${{inputs.files}}",
        "inputs": {"files": {"type": "uri_folder", "path": "./files"}},
        "outputs": {"rows": {"type": "uri_file"}},
        "task": {
            "type": "run_function",
            "code": "./code",
            "entry_script": "score.py",
            "append_row_to": "${{outputs.rows}}",
            "environment": {"image": "i", "conda_file": GREETING},
        },
    }
    record = run(local, job, {"type": "pipeline", "jobs": {"score": step}}, isolate=True)
    (found,) = local.jobs.list(parent=record.name)
    assert found.status is JobStatus.COMPLETED, local.jobs.log(found.name)
    assert local.data.local_path(found.outputs["rows"].uri).read_text().strip() == "1.0"


def _silent_index(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An index that takes every connection and never answers."""
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(server, []), daemon=True).start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    return server


def _accept(server: Any, kept: list[Any]) -> None:
    try:
        while True:
            kept.append(server.accept())
    except OSError:
        return


@pytest.mark.parametrize("isolate", [False, True])
def test_variables_of_the_conda_file_are_set_and_the_jobs_own_come_first(
    local: LocalWorkspace, job: WriteJob, index: Path, isolate: bool
) -> None:
    conda = {"dependencies": [], "variables": {"FROM_CONDA": 1, "OF_BOTH": "conda"}}
    content = command("echo $FROM_CONDA $OF_BOTH", conda, environment_variables={"OF_BOTH": "job"})
    record = run(local, job, content, isolate=isolate)
    assert record.status is JobStatus.COMPLETED, record.error
    assert "1 job" in local.jobs.log(record.name).splitlines()
