"""Data assets: versions that count upwards, never change, and can be read by any of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.errors import Conflict, InvalidRequest, NotFound
from mlops_dagster.workspace import Workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rates 2025.csv"
    path.write_text("a\n1\n")
    return path


def test_a_registered_file_keeps_the_content_that_it_had(workspace: Workspace, file: Path) -> None:
    known = workspace.data.register(
        "rates", str(file), type="uri_file", description="d", tags={"a": "b"}, job="j"
    )
    file.write_text("a\n2\n")
    assert workspace.data.local_path(known.reference).read_text() == "a\n1\n"
    assert workspace.data.local_path(known.uri).name == "rates 2025.csv"
    found = workspace.data.get("rates", "1")
    assert found == known
    assert (found.description, found.tags["a"], found.job) == ("d", "b", "j")
    assert found.created_at.tzinfo is not None


def test_versions_count_upwards_and_the_newest_is_the_latest(
    workspace: Workspace, file: Path
) -> None:
    for text in ("1", "2"):
        file.write_text(text)
        workspace.data.register("rates", str(file), type="uri_file")
    workspace.data.register("rates", str(file), type="uri_file", version="2025-11")
    newest = workspace.data.register("rates", str(file), type="uri_file")
    assert newest.version == "3"
    assert workspace.data.get("rates") == newest
    assert workspace.data.local_path("azureml:rates@latest").read_text() == "2"
    assert [item.version for item in workspace.data.list("rates")] == ["3", "2025-11", "2", "1"]


def test_a_given_version_is_registered_once(workspace: Workspace, file: Path) -> None:
    first = workspace.data.register("rates", str(file), type="uri_file", version="7")
    assert workspace.data.register("rates", str(file), type="uri_file", version="7") == first
    file.write_text("other")
    with pytest.raises(Conflict, match="azureml:rates:7 exists"):
        workspace.data.register("rates", str(file), type="uri_file", version="7")


def test_what_a_job_wrote_is_registered_once(workspace: Workspace, file: Path) -> None:
    first = workspace.data.register("rates", str(file), type="uri_file", job="j1")
    assert workspace.data.register("rates", str(file), type="uri_file", job="j1") == first
    assert workspace.data.register("rates", str(file), type="uri_file", job="j2").version == "2"


def test_the_list_holds_the_latest_of_each(workspace: Workspace, file: Path) -> None:
    for name in ("a", "b", "a"):
        workspace.data.register(name, str(file), type="uri_file")
    listed = [(item.name, item.version) for item in workspace.data.list()]
    assert listed == [("a", "2"), ("b", "1")]


def test_an_address_on_the_network_is_registered_as_it_is(workspace: Workspace) -> None:
    url = "https://example.com/rates.csv"
    assert workspace.data.register("rates", url, type="uri_file").uri == url


@pytest.mark.parametrize(
    ("name", "version", "type"),
    [
        ("../rates", None, "uri_file"),
        ("", None, "uri_file"),
        ("rates", "../1", "uri_file"),
        ("rates", None, "csv"),
        ("rates", None, "uri_folder"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(
    workspace: Workspace, file: Path, name: str, version: str | None, type: str
) -> None:
    with pytest.raises(InvalidRequest):
        workspace.data.register(name, str(file), type=type, version=version)
    assert workspace.data.list() == []


def test_what_does_not_exist_is_not_found(workspace: Workspace, file: Path) -> None:
    with pytest.raises(NotFound):
        workspace.data.register("rates", str(file.parent / "gone"), type="uri_file")
    workspace.data.register("rates", str(file), type="uri_file")
    with pytest.raises(NotFound, match="Did you mean 'rates'"):
        workspace.data.get("rate")
    with pytest.raises(NotFound, match="Its versions: 1"):
        workspace.data.get("rates", "2")
    with pytest.raises(NotFound):
        workspace.data.local_path("azureml:rates:2")


def test_what_a_job_was_given_is_deleted_and_a_registered_version_is_not(
    workspace: Workspace, file: Path
) -> None:
    known = workspace.data.register("rates", str(file), type="uri_file")
    with pytest.raises(Conflict, match="azureml:rates:1"):
        workspace.data.delete(known.uri)
    assert workspace.data.local_path(known.reference).read_text() == "a\n1\n"
    with pytest.raises(InvalidRequest):
        workspace.data.delete(str(file))
    other = "azureml://datastores/workspaceblobstore/paths/here/once.csv"
    place = workspace.data.local_path(known.uri).parents[2] / "here" / "once.csv"
    place.parent.mkdir()
    place.write_text("a\n")
    for _ in range(2):
        workspace.data.delete(other)
        with pytest.raises(NotFound):
            workspace.data.local_path(other)
