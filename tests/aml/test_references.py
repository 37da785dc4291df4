from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.aml.references import (
    DatastorePath,
    JobOutput,
    LocalPath,
    Reference,
    Registered,
    RegistryAsset,
    Url,
    parse_reference,
    resolve_path,
)

WORKSPACE = "subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("./data/rows.csv", LocalPath(Path("data/rows.csv"))),
        ("file:../rows.csv", LocalPath(Path("../rows.csv"))),
        ("file:///tmp/rows.csv", LocalPath(Path("/tmp/rows.csv"))),
        ("azureml:flights", Registered("flights")),
        ("azureml:flights:3", Registered("flights", "3")),
        ("azureml:flights:2013-01", Registered("flights", "2013-01")),
        ("azureml:flights@latest", Registered("flights", label="latest")),
        (
            f"azureml:/{WORKSPACE}/workspaces/w/data/flights/versions/3",
            Registered("flights", "3"),
        ),
        ("azureml://datastores/store/paths/a/b.csv", DatastorePath("store", "a/b.csv")),
        ("azureml:azureml://datastores/store/paths/a", DatastorePath("store", "a")),
        ("azureml://datastores/store", DatastorePath("store", "")),
        (
            "azureml://subscriptions/s/resourcegroups/r/workspaces/w/datastores/store/paths/a/",
            DatastorePath("store", "a/"),
        ),
        (
            "azureml://registries/azureml/environments/sklearn/labels/latest",
            RegistryAsset("azureml", "environments", "sklearn", label="latest"),
        ),
        (
            "azureml://registries/azureml/components/score/versions/1.2",
            RegistryAsset("azureml", "components", "score", "1.2"),
        ),
        (
            "azureml://registries/azureml/components/score",
            RegistryAsset("azureml", "components", "score"),
        ),
        ("azureml://jobs/nightly/outputs/model", JobOutput("nightly", "model")),
        ("azureml://jobs/nightly/outputs/model/paths/a/b", JobOutput("nightly", "model", "a/b")),
        ("azureml:nightly:outputs.model", JobOutput("nightly", "model")),
        ("runs:/nightly/model", JobOutput("nightly", "artifacts", "model")),
        ("https://example.com/rows.csv", Url("https://example.com/rows.csv")),
        ("wasbs://c@a.blob.core.windows.net/x", Url("wasbs://c@a.blob.core.windows.net/x")),
        ("git+https://example.com/code.git", Url("git+https://example.com/code.git")),
    ],
)
def test_a_text_is_told_apart_by_its_form(text: str, meant: Reference) -> None:
    assert parse_reference(text) == meant


def test_a_path_becomes_absolute_against_the_folder_of_its_file() -> None:
    folder = Path("/project/pipelines")

    assert resolve_path("../data/a b.csv", folder) == "/project/data/a b.csv"
    assert resolve_path("file:./a", folder) == "/project/pipelines/a"
    assert resolve_path("/elsewhere/a", folder) == "/elsewhere/a"


@pytest.mark.parametrize("text", ["azureml:a:1", "https://a/b", "${{parent.inputs.a}}"])
def test_what_is_no_path_stays_as_it_is(text: str) -> None:
    assert resolve_path(text, Path("/project")) == text
