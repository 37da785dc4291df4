"""What scripts log to MLflow is found from their job, through one server that nobody looks after."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlops_dagster.errors import NotFound
from mlops_dagster.system import services
from mlops_dagster.workspace.local.ground.state import State
from mlops_dagster.workspace.local.records import jobs as records
from mlops_dagster.workspace.local.tracking import (
    JobTracking,
    end_runs,
    read_artifact,
    read_tracked,
    running,
    start,
    stop,
    values_of,
)
from mlops_dagster.workspace.ports import JobStatus, Tracked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with an awkward name and one server for all tests that only log to it."""
    path = tmp_path_factory.mktemp("a home? 100%25 ü") / ".mlops"
    yield path
    stop(path)


def tracking(
    home: Path, job: str, *, parent: str | None = None, experiment: str = "flights"
) -> JobTracking:
    """The tracking of a job that the workspace has, and of the job that it is part of."""
    state = State(home)
    state.create(records.SCHEMA)
    row = partial(records.NewJob, type="command", status=JobStatus.RUNNING, experiment=experiment)
    jobs = [row(name=job, root=parent or job, parent=parent, display_name=f"The {job}")]
    with state.write() as connection:
        if parent and records.find(connection, parent) is None:
            jobs.insert(0, row(name=parent, root=parent))
        records.insert(connection, jobs)
    return JobTracking(home, job, experiment)


def run_script(tracked: JobTracking, script: str, folder: Path, **variables: str) -> str:
    """Run a script as a job's command and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, **tracked.environment, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(url: str, method: str, message: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request to MLflow's REST interface, as any client makes it."""
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/{method}",
        data=None if message is None else json.dumps(message).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return dict(json.load(answer))


def log(url: str, job: str, value: float, metric: str = "loss") -> None:
    metric_of_job = {"run_id": job, "key": metric, "value": value, "timestamp": 1, "step": 0}
    ask(url, "runs/log-metric", metric_of_job)


def state_of(home: Path) -> services.State:
    return services.read_state(services.folder_of(home, "mlflow"))


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_that_never_talks_to_mlflow_leaves_no_trace(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with tracking(home, "silent") as tracked:
        assert tracked.url.startswith("http://127.0.0.1:")
    before = list(home.iterdir())
    end_runs(home, "silent", JobStatus.COMPLETED)
    assert read_tracked(home, ["silent"]) == Tracked()
    with pytest.raises(NotFound):
        read_artifact(home, ["silent"], "x")
    assert list(home.iterdir()) == before


def test_what_a_script_logs_is_found_from_its_job(home: Path, tmp_path: Path) -> None:
    script = """
import math, mlflow
mlflow.log_metric("loss", 1.0, step=0)  # with no start_run
mlflow.log_metric("loss", 0.5, step=1)
mlflow.log_metrics({"nan": math.nan, "inf": -math.inf})
mlflow.log_params({"rate": 0.1})
mlflow.set_tag("team", "flights")
open("picture.bin", "wb").write(bytes(range(256)) * 20_000)
mlflow.log_artifact("picture.bin", "plots")
mlflow.log_text("", "empty.txt")
mlflow.log_dict({"run_id": "logs"}, "mlflow/as it is.json")
print(len(mlflow.artifacts.load_text("runs:/logs/mlflow/as it is.json")))
"""
    with tracking(home, "logs") as tracked:
        assert int(run_script(tracked, script, tmp_path)) > 0
    found = read_tracked(home, ["logs"])
    assert [(point.value, point.step) for point in found.metrics["loss"]] == [(1.0, 0), (0.5, 1)]
    assert all(point.at.tzinfo is not None for point in found.metrics["loss"])
    assert math.isnan(found.latest["nan"])
    assert found.latest["inf"] == -math.inf
    assert (found.params, found.tags) == ({"rate": "0.1"}, {"team": "flights"})
    assert found.artifacts == ("empty.txt", "mlflow/as it is.json", "plots/picture.bin")
    assert read_artifact(home, ["logs"], "plots/picture.bin") == bytes(range(256)) * 20_000
    assert read_artifact(home, ["logs"], "empty.txt") == b""
    assert json.loads(read_artifact(home, ["logs"], "mlflow/as it is.json")) == {"run_id": "logs"}
    with pytest.raises(NotFound, match=r"Did you mean 'plots/picture\.bin'"):
        read_artifact(home, ["logs"], "plots/picture.png")
    with pytest.raises(NotFound):
        read_artifact(home, ["logs"], "../../../mlflow.db")


def test_nested_and_later_runs_are_the_job_s_but_not_the_job(home: Path, tmp_path: Path) -> None:
    script = """
import mlflow
from sklearn.linear_model import LogisticRegression
with mlflow.start_run():
    mlflow.log_metric("auc", 0.3)
    mlflow.log_param("C", 1.0)
    with mlflow.start_run(run_name="fold", nested=True):
        mlflow.log_metric("auc", 0.99)
        mlflow.log_param("fold", 0)
        mlflow.log_text("99", "auc.txt")
with mlflow.start_run(run_name="later"):
    mlflow.log_metric("later", 2)
mlflow.sklearn.autolog()
LogisticRegression(C=3.0).fit([[0.0], [1.0], [0.0], [1.0]], [0, 1, 0, 1])
"""
    with tracking(home, "further", experiment="own experiment") as tracked:
        run_script(tracked, script, tmp_path)
    found = read_tracked(home, ["further"])
    assert (found.latest, found.params, found.artifacts) == ({"auc": 0.3}, {"C": "1.0"}, ())
    assert values_of(home, ["further"], "auc") == {"further": [0.3]}
    fold, later, automatic = found.runs
    assert (fold.job, fold.name, fold.latest) == ("further", "fold", {"auc": 0.99})
    assert fold.params == {"fold": "0"}
    (file,) = fold.artifacts
    assert file == f"runs/{fold.run_id}/auc.txt"
    assert read_artifact(home, ["further"], file) == b"99"
    assert (later.name, later.latest) == ("later", {"later": 2.0})
    assert ("training_score" in automatic.latest, automatic.params["C"]) == (True, "3.0")
    model = f"runs/{automatic.run_id}/model/MLmodel"
    assert b"sklearn" in read_artifact(home, ["further"], model)
    experiment = ask(start(home), "experiments/get-by-name?experiment_name=own%20experiment")
    ids = [experiment["experiment"]["experiment_id"]]
    runs = ask(start(home), "runs/search", {"experiment_ids": ids})["runs"]
    assert len(runs) == 4


def test_a_job_can_log_to_the_job_that_it_is_part_of(home: Path, tmp_path: Path) -> None:
    script = """
import os, mlflow
from mlflow import MlflowClient
client, root = MlflowClient(), os.environ["AZUREML_ROOT_RUN_ID"]
client.log_metric(root, "of_all", 3.0)
mlflow.log_metric("of_one", 1.0)
run = client.get_run(root)
found = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{root}'")
print(run.info.run_name, [step.info.run_name for step in found])
"""
    with tracking(home, "step", parent="root") as tracked:
        said = run_script(tracked, script, tmp_path, AZUREML_ROOT_RUN_ID="root")
    assert said.strip() == "root ['The step']"
    assert read_tracked(home, ["root"]).latest == {"of_all": 3.0}
    assert read_tracked(home, ["step"]).latest == {"of_one": 1.0}
    assert read_tracked(home, ["root", "step"]).latest == {"of_all": 3.0, "of_one": 1.0}


def test_jobs_that_start_at_once_share_one_experiment_and_their_parent(home: Path) -> None:
    names = [f"trial-{number}" for number in range(8)]

    def one(name: str) -> None:
        with tracking(home, name, parent="sweep", experiment="race") as tracked:
            log(tracked.url, name, 1.0)

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(read_tracked(home, [name]).latest == {"loss": 1.0} for name in names)
    experiment = ask(start(home), "experiments/get-by-name?experiment_name=race")["experiment"]
    search = {"experiment_ids": [experiment["experiment_id"]]}
    runs = ask(start(home), "runs/search", search)["runs"]
    assert sorted(run["info"]["run_name"] for run in runs) == sorted(
        ["sweep", *(f"The {name}" for name in names)]
    )


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        (JobStatus.COMPLETED, "FINISHED"),
        (JobStatus.FAILED, "FAILED"),
        (JobStatus.CANCELED, "KILLED"),
    ],
)
def test_the_runs_of_a_job_end_as_the_job_does(home: Path, status: JobStatus, ended: str) -> None:
    job = f"ends-{status.value}"
    with tracking(home, job) as tracked:
        own = ask(tracked.url, f"runs/get?run_id={job}")["run"]["info"]
        created = {"experiment_id": own["experiment_id"], "start_time": 1, "run_name": "left open"}
        other = ask(tracked.url, "runs/create", created)["run"]["info"]
    end_runs(home, job, status)
    for run in (own, other):
        info = ask(start(home), f"runs/get?run_id={run['run_id']}")["run"]["info"]
        assert (info["status"], "end_time" in info) == (ended, True)


def test_a_page_that_points_its_own_name_here_is_refused(home: Path) -> None:
    with tracking(home, "guarded") as tracked:
        request = urllib.request.Request(
            f"{tracked.url}/api/2.0/mlflow/runs/get?run_id=guarded",
            headers={"Host": "evil.example"},
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=60)


def test_a_run_is_made_for_jobs_of_the_home_only(home: Path) -> None:
    start(home)
    with pytest.raises(urllib.error.HTTPError, match="501"):
        ask(f"{start(home)}/jobs/unknown", "runs/get?run_id=unknown")


def test_a_body_of_unknown_length_arrives_as_it_is(home: Path) -> None:
    content = os.urandom(3_000_000)
    with tracking(home, "streams") as tracked:
        run = ask(tracked.url, "runs/get?run_id=streams")["run"]["info"]
        place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        address = f"{tracked.url}/api/2.0/mlflow-artifacts/artifacts/{place}/data.bin"
        pieces = (content[at : at + 70_001] for at in range(0, len(content), 70_001))
        request = urllib.request.Request(address, data=pieces, method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
        by_name = address.replace(run["run_id"], "streams")
        with urllib.request.urlopen(by_name, timeout=60) as answer:
            assert answer.read() == content
    assert read_artifact(home, ["streams"], "data.bin") == content


def test_a_server_that_was_killed_is_started_again_where_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with tracking(home, "survives") as tracked:
        log(tracked.url, "survives", 1.0)
        before = state_of(home)
        assert before.supervisor is not None
        assert before.server is not None
        psutil.Process(before.supervisor[0]).kill()
        psutil.Process(before.server[0]).kill()
        until(lambda: running(home) is None)
        log(tracked.url, "survives", 2.0)
        after = state_of(home)
    assert after.ports == before.ports
    assert after.server != before.server
    assert [point.value for point in read_tracked(home, ["survives"]).metrics["loss"]] == [1.0, 2.0]
    assert stop(home)
    assert running(home) is None


@pytest.mark.parametrize("spoken", ["train.py", "the command", "neither"])
def test_the_server_starts_with_a_job_whose_code_speaks_of_mlflow(
    tmp_path: Path, spoken: str
) -> None:
    home, code = tmp_path / "home", tmp_path / "code"
    (code / "lib").mkdir(parents=True)
    (code / "lib" / "train.py").write_text("import mlflow" if spoken == "train.py" else "")
    (code / "data.csv").write_text("mlflow")
    command = "python -c 'import mlflow'" if spoken == "the command" else "true"
    with tracking(home, "early") as tracked:
        tracked.start_early(code, ["bash", "-c", command])
        if spoken == "neither":
            assert not services.folder_of(home, "mlflow").exists()
        else:
            until(lambda: running(home) is not None, 120)
    stop(home)


def test_only_the_first_home_waits_until_mlflow_has_made_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = []
    for name in ("first", "second"):
        with tracking(tmp_path / name, "logs") as tracked:
            log(tracked.url, "logs", 1.0)
            assert read_tracked(tmp_path / name, ["logs"]).latest == {"loss": 1.0}
        log_file = services.folder_of(tmp_path / name, "mlflow") / "server.log"
        made.append("Creating initial MLflow database tables" in log_file.read_text())
        stop(tmp_path / name)
    assert made == [True, False]


def test_a_job_whose_server_cannot_start_is_told_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with tracking(home, "refused") as tracked:
        (home / "mlflow").write_text("in the way")
        with pytest.raises(urllib.error.HTTPError, match="501") as raised:
            ask(tracked.url, "runs/get?run_id=refused")
        assert "mlflow" in json.load(raised.value)["message"]


def test_a_server_that_nobody_asks_anything_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_TRACKING_IDLE_SECONDS", "1")
    start(tmp_path)
    until(lambda: state_of(tmp_path).supervisor is None)
    assert running(tmp_path) is None
