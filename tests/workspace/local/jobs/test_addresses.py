"""Jobs whose data, models and components lie elsewhere: fetched, substituted, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops_dagster.errors import InvalidDocument, InvalidRequest, MlopsError, NotFound, Unsupported
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.local.ground.addresses import download_address
from mlops_dagster.workspace.ports import JobOptions, JobRecord, JobStatus
from tests.workspace.conftest import WriteJob, at_rest, nothing_is_left_of
from tests.workspace.local.conftest import Site
from tests.workspace.local.job_logs import without_notes

T5 = "azureml://registries/azureml/models/t5-small/versions/4"


def run(
    local: LocalWorkspace, job: WriteJob, content: Any, *, name: str | None = None, **options: Any
) -> JobRecord:
    """Submit a job, through a workspace of its own where there are options."""
    opened = LocalWorkspace(local.home, options=JobOptions(**options)) if options else local
    submitted = opened.jobs.submit(job(yaml.safe_dump(content)), name=name)
    return local.jobs.wait(submitted.name, timeout=60)


def reading(path: str, type: str = "uri_file") -> dict[str, Any]:
    """A job that prints what its input holds."""
    inputs = {"raw": {"type": type, "path": path}}
    return {"command": "cat ${{inputs.raw}}", "inputs": inputs}


def substitutions(folder: Path, **sections: dict[str, Any]) -> Path:
    file = folder / "stand-ins.yml"
    file.write_text(yaml.safe_dump(sections))
    return file


def component(folder: Path, name: str, version: str | None, text: str = "") -> Path:
    """Writes a component that prints its version, or ``text``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "type": "command",
        "name": name,
        "command": text or f"echo {name} {version}",
        "environment": "azureml:any@latest",
        **({"version": version} if version else {}),
    }
    (folder / "component.yml").write_text(yaml.safe_dump(content))
    return folder / "component.yml"


def pipeline(**references: str) -> dict[str, Any]:
    steps = {name: {"component": reference} for name, reference in references.items()}
    return {"type": "pipeline", "jobs": steps}


def said_by_steps(local: LocalWorkspace, record: JobRecord) -> dict[str | None, str]:
    steps = local.jobs.list(parent=record.name)
    return {step.step: local.jobs.log(step.name) for step in steps}


def test_a_file_behind_an_address_is_downloaded_once(
    local: LocalWorkspace, job: WriteJob, site: Site
) -> None:
    site.files["/rates.csv"] = (b"a,b\n", '"1"')
    said: list[str] = []
    for _ in range(2):
        record = run(local, job, reading(f"{site.url}/rates.csv?sig=secret"), notify=said.append)
        assert local.jobs.log(record.name) == "a,b\n"
        assert "secret" not in str(record)
    downloads = [line for line in said if line.startswith("Downloading")]
    assert downloads == [f"Downloading {site.url}/rates.csv (4 bytes) ..."]
    assert [status for _, status in site.requests] == [200, 304]


def test_a_download_is_one_file_on_the_disk(
    local: LocalWorkspace, job: WriteJob, site: Site, mlops_home: Path
) -> None:
    site.files["/big"] = (b"x" * 100, '"1"')
    run(local, job, reading(f"{site.url}/big"))
    copies = {path.stat().st_ino for path in at_rest(mlops_home).rglob("big") if path.is_file()}
    assert len(copies) == 1


def test_registered_data_behind_an_address_is_downloaded_and_keeps_its_version(
    local: LocalWorkspace, job: WriteJob, site: Site
) -> None:
    site.files["/rates.csv"] = (b"a,b\n", '"1"')
    local.data.register("rates", f"{site.url}/rates.csv", type="uri_file")
    record = run(local, job, reading("azureml:rates@latest"))
    assert local.jobs.log(record.name) == "a,b\n"
    assert "azureml:rates:1" in str(record.properties)


def test_what_cannot_be_downloaded_is_told_with_both_ways_to_put_a_file_in_its_place(
    local: LocalWorkspace, job: WriteJob
) -> None:
    address = "http://127.0.0.1:9/rates.csv"
    content = {
        "type": "pipeline",
        "jobs": {"one": {"environment": "azureml:a:1", **reading(f"{address}?sig=secret")}},
    }
    with pytest.raises(MlopsError) as caught:
        run(local, job, content)
    said = str(caught.value)
    assert f"jobs.one.inputs.raw is {address}, which cannot be reached" in said
    assert "--set jobs.one.inputs.raw.path=PATH" in said
    assert f"`inputs: {{{address}: PATH}}` in .mlops/substitutions.yml" in said
    assert "secret" not in said
    assert local.jobs.list() == []


def test_set_puts_a_file_in_the_place_of_an_address(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("mine\n")
    content = yaml.safe_dump(reading("https://account.example/rates.csv"))
    submitted = local.jobs.submit(job(content, **{"inputs.raw.path": "mine.csv"}))
    local.jobs.wait(submitted.name, timeout=60)
    assert local.jobs.log(submitted.name) == "mine\n"


@pytest.mark.parametrize(
    ("path", "type", "section", "key"),
    [
        ("https://account.example/set/rates.csv", "uri_file", "inputs", "https://account.example"),
        ("wasbs://c@account.example/x.csv", "uri_file", "inputs", "wasbs://c@account.example/x.csv"),
        ("azureml:rates:3", "uri_file", "data", "azureml:rates"),
        (T5, "custom_model", "models", "azureml://registries/azureml/models/t5-small"),
    ],
)  # fmt: skip
def test_substitutions_put_a_file_in_the_place_of_what_lies_elsewhere(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, path: str, type: str, section: str, key: str
) -> None:  # fmt: skip
    (tmp_path / "here" / "set").mkdir(parents=True)
    (tmp_path / "here" / "set" / "rates.csv").write_text("mine\n")
    target = "here" if key.endswith("example") else "here/set/rates.csv"
    file = substitutions(tmp_path, **{section: {key: target}})
    record = run(local, job, reading(path, type), substitutions=file)
    assert local.jobs.log(record.name) == "mine\n"


def test_the_homes_own_substitutions_count_where_the_named_file_says_nothing(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path, mlops_home: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{name}\n")
    (mlops_home / "substitutions.yml").write_text("data: {a: ../one, b: ../one}")
    file = substitutions(tmp_path, data={"b": "two"})
    for name, expected in (("a", "one\n"), ("b", "two\n")):
        record = run(local, job, reading(f"azureml:{name}:1"), substitutions=file)
        assert local.jobs.log(record.name) == expected


def test_an_address_behind_registered_data_can_be_substituted_as_well(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("mine\n")
    local.data.register("rates", "https://account.example/rates.csv", type="uri_file")
    file = substitutions(tmp_path, inputs={"https://account.example/rates.csv": "mine.csv"})
    record = run(local, job, reading("azureml:rates:1"), substitutions=file)
    assert local.jobs.log(record.name) == "mine\n"


def test_a_mistake_in_the_substitutions_is_told_and_nothing_starts(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    file = substitutions(tmp_path, inputs={"https://a": "nowhere"})
    with pytest.raises(InvalidDocument, match=r"stand-ins\.yml:2: inputs\.https://a"):
        run(local, job, reading("https://a"), substitutions=file)
    with pytest.raises(InvalidDocument, match="no such file"):
        run(local, job, reading("https://a"), substitutions=tmp_path / "none.yml")
    assert local.jobs.list() == []


def test_all_that_lies_elsewhere_is_refused_at_once_with_its_lines(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("")
    content = pipeline(
        known="azureml:known:1",
        other="azureml://registries/azureml/components/train/versions/1",
    )
    content["jobs"]["reads"] = {
        "command": "cat ${{inputs.model}} ${{inputs.blob}} ${{inputs.folder}} ${{inputs.mine}}",
        "environment": "azureml:any:1",
        "inputs": {
            "model": {"type": "custom_model", "path": T5},
            "blob": {"type": "uri_file", "path": "abfss://c@account.example/x"},
            "folder": {"type": "uri_folder", "path": "https://account.example/set/"},
            "mine": {"type": "uri_file", "path": "wasbs://c@account.example/mine"},
        },
    }
    file = substitutions(tmp_path, inputs={"wasbs://c@account.example": "."})
    with pytest.raises(Unsupported) as caught:
        run(local, job, content, substitutions=file)
    said = str(caught.value)
    for line in (
        "job.yml:3: jobs.known.component: The registered component azureml:known:1 is not",
        "components/train/versions/1 is not on this machine",
        f"jobs.reads.inputs.model: {T5} lies in a registry on Azure",
        "jobs.reads.inputs.blob: abfss://c@account.example/x lies on another machine",
        "jobs.reads.inputs.folder: https://account.example/set/ is a folder on the network",
        "`components:` in .mlops/substitutions.yml",
        f"`models: {{{T5}: PATH}}`",
        "--set jobs.reads.inputs.blob.path=PATH",
    ):
        assert line in said
    assert "account.example/mine" not in said
    assert local.jobs.list() == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with components in its folders."""
    folder = tmp_path / "project"
    for version in ("9", "10"):
        component(folder / "code" / f"train-{version}", "train", version)
    component(folder / "components" / "deep" / "score", "score", None)
    (folder / "components" / "broken.yml").write_text("name: [")
    (folder / ".cloud" / "local").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("reference", "ran"),
    [
        ("azureml:train@latest", "train 10\n"),
        ("azureml:train", "train 10\n"),
        ("azureml:train:9", "train 9\n"),
        ("azureml:score:7", "score None\n"),
    ],
)
def test_a_registered_component_is_found_among_the_projects_own(
    project: Path, job: WriteJob, mlops_home: Path, reference: str, ran: str
) -> None:
    workspace = LocalWorkspace.open(project=project)
    record = run(workspace, job, pipeline(step=reference))
    assert said_by_steps(workspace, record) == {"step": ran}
    workspace.close()
    nothing_is_left_of(mlops_home)


def test_a_version_that_the_project_lacks_is_refused(project: Path, job: WriteJob) -> None:
    workspace = LocalWorkspace.open(project=project)
    with pytest.raises(Unsupported, match="azureml:train:3 is not on this machine"):
        run(workspace, job, pipeline(step="azureml:train:3"))
    workspace.close()


def test_a_substituted_component_comes_before_the_projects(
    project: Path, job: WriteJob, mlops_home: Path, tmp_path: Path
) -> None:
    component(tmp_path / "other", "train", "1", "echo other")
    file = substitutions(tmp_path, components={"azureml:train": "other/component.yml"})
    workspace = LocalWorkspace.open(project=project, options=JobOptions(substitutions=file))
    record = run(workspace, job, pipeline(step="azureml:train:10"))
    assert said_by_steps(workspace, record) == {"step": "other\n"}
    workspace.close()
    nothing_is_left_of(mlops_home)


def test_a_substituted_component_is_given_what_the_step_gives_and_feeds_the_next(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    (tmp_path / "rates.csv").write_text("a,b\n")
    folder = tmp_path / "elsewhere" / "components"
    file = component(folder, "count", "1", "cat ${{inputs.raw}} > ${{outputs.out}}")
    content = yaml.safe_load(file.read_text())
    content["inputs"] = {"raw": {"type": "uri_file"}, "rate": {"type": "number", "default": 1}}
    content["outputs"] = {"out": {"type": "uri_file"}}
    file.write_text(yaml.safe_dump(content))
    steps = pipeline(first="azureml:count@latest", second="azureml:count:1")
    # Bare text: a path, for so the component declares it, that starts from the pipeline's file.
    steps["jobs"]["first"]["inputs"] = {"raw": "./rates.csv"}
    steps["jobs"]["second"]["inputs"] = {"raw": "${{parent.jobs.first.outputs.out}}"}
    stand_ins = substitutions(tmp_path, components={"count": "elsewhere/components/component.yml"})
    record = run(local, job, steps, substitutions=stand_ins)
    assert record.status is JobStatus.COMPLETED, record.error
    steps["jobs"]["second"]["inputs"]["ratio"] = 2
    with pytest.raises(NotFound, match=r"jobs\.second\.inputs\.ratio"):
        run(local, job, steps, substitutions=stand_ins)


def test_a_component_that_contains_itself_is_refused(
    local: LocalWorkspace, job: WriteJob, tmp_path: Path
) -> None:
    around = {"type": "pipeline", "name": "around", "jobs": {"again": {"component": "azureml:a:1"}}}
    (tmp_path / "around.yml").write_text(yaml.safe_dump(around))
    file = substitutions(tmp_path, components={"a": "around.yml"})
    with pytest.raises(InvalidRequest, match=r"contains itself: around\.yml -> around\.yml"):
        run(local, job, pipeline(step="azureml:a:1"), substitutions=file)


def test_paths_may_hold_the_jobs_name_and_the_default_datastore(
    local: LocalWorkspace, job: WriteJob
) -> None:
    place = "azureml://datastores/${{default_datastore}}/paths/kept/${{name}}/"
    content = {
        "command": "echo 1 > ${{outputs.out}}/file",
        "outputs": {"out": {"type": "uri_folder", "path": place}},
    }
    run(local, job, content, name="first")
    again = {
        "command": "cat ${{inputs.kept}}/file",
        "inputs": {"kept": {"type": "uri_folder", "path": place.replace("${{name}}", "first")}},
    }
    record = run(local, job, again)
    assert without_notes(local.jobs.log(record.name)) == "1\n"


def test_validating_downloads_nothing(local: LocalWorkspace, job: WriteJob, site: Site) -> None:
    local.jobs.validate(job(yaml.safe_dump(reading(f"{site.url}/rates.csv"))))
    assert site.requests == []


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("wasbs://set@acc.blob.core.windows.net/a/b c.csv", "https://acc.blob.core.windows.net/set/a/b c.csv"),
        ("abfss://set@acc.dfs.core.windows.net/b.csv", "https://acc.blob.core.windows.net/set/b.csv"),
        ("abfss://set@acc.dfs.core.chinacloudapi.cn/b", "https://acc.blob.core.chinacloudapi.cn/set/b"),
        ("https://example.org/b.csv", "https://example.org/b.csv"),
        ("wasbs://set@acc.example/b.csv", None),
        ("wasbs://set@acc.blob.core.windows.net.example/../b", None),
    ],
)  # fmt: skip
def test_a_blob_is_asked_for_at_its_public_address(address: str, asked: str | None) -> None:
    assert download_address(address) == asked
