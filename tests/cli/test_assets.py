"""`mlops model`, `mlops data` and `mlops compute` on the local workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_dagster.workspace import Workspace, connect
from mlops_dagster.workspace.ports import DataVersion, ModelVersion

from .conftest import Mlops


@pytest.fixture
def workspace(here: Path) -> Iterator[Workspace]:
    workspace = connect("local")
    yield workspace
    workspace.close()


@pytest.fixture
def models(workspace: Workspace, here: Path) -> list[ModelVersion]:
    """Two versions of one model."""
    made = []
    for content in ("first", "second"):
        (here / content).mkdir()
        (here / content / "weights.txt").write_text(content)
        made.append(
            workspace.models.register(
                "my-model", str(here / content), type="custom_model", tags={"kind": f"[b]{content}"}
            )
        )
    return made


@pytest.fixture
def data(workspace: Workspace, here: Path) -> list[DataVersion]:
    """Two versions of one data asset."""
    made = []
    for content in ("first", "second"):
        (here / f"{content}.csv").write_text(content)
        made.append(
            workspace.data.register("numbers", str(here / f"{content}.csv"), type="uri_file")
        )
    return made


def test_the_latest_version_of_a_model_is_listed_or_all_of_one(
    mlops: Mlops, models: list[ModelVersion]
) -> None:
    latest = mlops("model", "list", "-o", "json").json()
    assert latest[0]["version"] == "2"
    every = mlops("model", "list", "--name", "my-model", "-o", "json").json()
    assert [model["version"] for model in every] == ["2", "1"]
    assert "kind=[b]second" in mlops("model", "show", "my-model").out


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        (["my-model"], "2"),
        (["my-model:1"], "1"),
        (["my-model@latest"], "2"),
        (["azureml:my-model:1"], "1"),
        (["my-model", "--version", "1"], "1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_version_is_named_as_in_azure_mls_references(
    mlops: Mlops, models: list[ModelVersion], reference: list[str], version: str
) -> None:
    shown = mlops("model", "show", *reference, "-o", "json").json()
    assert shown["version"] == version
    assert shown["digest"] == models[int(version) - 1].digest


def test_a_models_files_are_downloaded_and_their_place_printed(
    mlops: Mlops, here: Path, models: list[ModelVersion]
) -> None:
    ran = mlops("model", "download", "my-model:1", "--download-path", "got")
    assert ran.status == 0, ran.err
    written = Path(ran.out.strip())
    assert written.resolve().is_relative_to(here / "got")
    assert [path.read_text() for path in written.rglob("weights.txt")] == ["first"]


def test_data_shows_the_path_at_which_it_can_be_read(mlops: Mlops, data: list[DataVersion]) -> None:
    table = mlops("data", "show", "numbers:1").out
    path = next(line.split(maxsplit=1)[1] for line in table.splitlines() if line.startswith("path"))
    assert Path(path).read_text() == "first"
    assert [one["version"] for one in mlops("data", "list", "-o", "json").json()] == ["2"]


def test_the_projects_compute_targets_are_found_from_a_folder_in_it(
    mlops: Mlops, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "project.yaml").write_text("name: p\n")
    compute = here / ".cloud" / "local" / "compute"
    compute.mkdir(parents=True)
    (compute / "small.yml").write_text(
        "name: small\ntype: amlcompute\nsize: STANDARD_DS3_v2\nmax_instances: 3\n"
    )
    (here / "code").mkdir()
    monkeypatch.chdir(here / "code")
    shown = mlops("compute", "show", "small", "-o", "json").json()
    assert (shown["max_instances"], shown["busy"]) == (3, 0)
    assert Path(shown["source"]) == compute / "small.yml"
    assert "STANDARD_DS3_v2" in mlops("compute", "list").out
    unknown = mlops("compute", "show", "smal")
    assert unknown.status == 2
    assert "small" in unknown.err


def test_an_asset_is_created_from_a_file_or_from_options_or_both(mlops: Mlops, here: Path) -> None:
    (here / "rates.csv").write_text("1\n")
    (here / "rates.yml").write_text(
        "name: rates\nversion: 5\ntype: uri_file\npath: ./rates.csv\ntags: {a: b}\n"
    )
    assert mlops("data", "create", "-f", "rates.yml").out == "azureml:rates:5\n"
    changed = ("-f", "rates.yml", "--version", "6", "--set", "description=d", "tags.c=d")
    shown = mlops("data", "create", *changed, "-o", "json").json()
    assert (shown["version"], shown["description"]) == ("6", "d")
    assert {"a": "b", "c": "d"}.items() <= shown["tags"].items()
    alone = ("--name", "m", "--path", "rates.csv", "--tags", "x=1", "y=2")
    model = mlops("model", "create", *alone, "-o", "json").json()
    assert (model["version"], model["type"]) == ("1", "custom_model")
    assert model["tags"] == {"x": "1", "y": "2"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Neither a file nor a name and a path"),
        (("--name", "m"), "Neither a file nor a name and a path"),
        (("--name", "m", "--path", "a.csv", "--type", "csv"), "--type: found 'csv'; expected"),
        (("--name", "m", "--path", "a.csv", "--set", "stage=x"), "Without a file"),
        (("--name", "m", "--path", "missing.csv"), "There is no file or folder"),
        (("--name", "a b", "--path", "a.csv"), "a b"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_registered_is_told(
    mlops: Mlops, here: Path, arguments: tuple[str, ...], said: str
) -> None:
    (here / "a.csv").write_text("1\n")
    ran = mlops("data", "create", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert mlops("data", "list", "-o", "json").json() == []


def test_a_model_of_a_jobs_output_remembers_the_job(mlops: Mlops, here: Path) -> None:
    (here / "job.yml").write_text(
        "type: command\nenvironment: {image: i}\ncommand: echo w > ${{outputs.w}}\n"
        "outputs: {w: {type: uri_file}}\n"
    )
    assert mlops("job", "run", "job.yml", "-n", "maker").status == 0
    created = mlops(
        "model", "create", "-n", "m", "-p", "azureml://jobs/maker/outputs/w", "-o", "json"
    )
    assert created.json()["job_name"] == "maker"


def test_nothing_registered_is_no_error(mlops: Mlops) -> None:
    for noun in ("model", "data", "job"):
        assert mlops(noun, "list", "-o", "json").json() == []
        assert mlops(noun, "list").status == 0
