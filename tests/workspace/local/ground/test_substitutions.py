"""What stands in on this machine for what only Azure has, and what is said where nothing does."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from mlops_dagster.aml.environment import Environment
from mlops_dagster.errors import InvalidDocument, InvalidRequest
from mlops_dagster.workspace.local.ground.substitutions import Substitutions, read_substitutions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What substitutions name: files, a folder, and asset files."""
    for name in ("data/2024/a b.csv", "rates.csv", "train.yml", "model/MLmodel", "packages.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "asset.yml").write_text("name: rates\ntype: uri_file\npath: rates.csv\n")
    (tmp_path / "t5.yml").write_text("name: t5\ntype: mlflow_model\npath: model\n")
    return tmp_path


def read(folder: Path, text: str) -> Substitutions:
    file = folder / "substitutions.yml"
    file.write_text(dedent(text))
    return read_substitutions(file)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://host/set/2024/a%20b.csv", "data/2024/a b.csv"),
        ("https://host/set/2024/a%20b.csv?sig=secret", "data/2024/a b.csv"),
        ("https://host/set", "data"),
        ("https://host/set/rates.csv", "rates.csv"),
        ("wasbs://c@account.example/x", "rates.csv"),
    ],
)
def test_an_address_or_its_beginning_has_a_local_path(
    folder: Path, address: str, path: str
) -> None:
    found = read(
        folder,
        """
        inputs:
          https://host/set/: data
          https://host/set/rates.csv: rates.csv
          wasbs://c@account.example/x: ./rates.csv
        """,
    )
    assert found.address(address) == str(folder / path)


@pytest.mark.parametrize("address", ["https://host/settings", "https://other/set/a", "/set"])
def test_another_address_stays_as_it_is(folder: Path, address: str) -> None:
    assert read(folder, "inputs: {https://host/set: data}").address(address) == address


@pytest.mark.parametrize("steps", ["../x", "%2e%2e/x", "a/..%2f..%2fx"])
def test_an_address_cannot_climb_out_of_what_stands_in(folder: Path, steps: str) -> None:
    found = read(folder, "inputs: {https://host/set: data}")
    with pytest.raises(InvalidRequest, match="climbs out"):
        found.address(f"https://host/set/{steps}")


@pytest.mark.parametrize(
    ("key", "reference", "stands_in"),
    [
        ("azureml:rates", "azureml:rates:3", True),
        ("rates", "azureml:rates@latest", True),
        ("azureml:rates@latest", "azureml:rates", True),
        ("azureml:rates:3", "azureml:rates:3", True),
        ("azureml:rates:3", "azureml:rates:2", False),
        ("azureml:rates:3", "azureml:rates", False),
        (
            "azureml://registries/azureml/data/rates",
            "azureml://registries/azureml/data/rates/versions/2",
            True,
        ),
        ("rates", "azureml://registries/azureml/data/rates/versions/2", False),
    ],
)
def test_a_name_without_a_version_stands_for_every_version(
    folder: Path, key: str, reference: str, stands_in: bool
) -> None:
    found = read(folder, f"data: {{'{key}': rates.csv}}").address(reference)
    assert found == (str(folder / "rates.csv") if stands_in else reference)


def test_the_type_of_an_input_tells_a_model_from_data(folder: Path) -> None:
    found = read(folder, "data: {x: rates.csv}\nmodels: {x: model}")
    assert found.address("azureml:x:1", "mlflow_model") == str(folder / "model")
    assert found.address("azureml:x:1", "uri_file") == str(folder / "rates.csv")


def test_an_assets_file_stands_for_what_it_names(folder: Path) -> None:
    found = read(folder, "data: {rates: asset.yml}\nmodels: {t5: t5.yml}")
    assert found.address("azureml:rates:1") == str(folder / "rates.csv")
    assert found.address("azureml:t5:1", "mlflow_model") == str(folder / "model")


@pytest.mark.parametrize(
    ("key", "environment", "stands_in"),
    [
        ("azureml:train", Environment(reference="azureml:train:7"), True),
        ("train", Environment(name="train", version="2", image="i"), True),
        ("train:3", Environment(name="train", version="2", image="i"), False),
        ("mcr.example/a/image", Environment(image="mcr.example/a/image:20240101"), True),
        ("mcr.example/a/image:2", Environment(image="mcr.example/a/image:1"), False),
        ("mcr.example/a/image", Environment(image="mcr.example/a/image:1", conda={}), False),
        (
            "azureml://registries/azureml/environments/sklearn-1.5",
            Environment(
                reference="azureml://registries/azureml/environments/sklearn-1.5/labels/latest"
            ),
            True,
        ),
    ],
)
def test_an_environment_is_known_by_its_reference_its_name_or_its_image(
    folder: Path, key: str, environment: Environment, stands_in: bool
) -> None:
    found = read(folder, f"environments: {{'{key}': {{requirements: packages.txt}}}}")
    software = found.environment(environment)
    assert (software is not None) is stands_in
    assert software is None or software.requirements == folder / "packages.txt"


def test_an_interpreter_is_found_by_its_path_or_by_its_name(folder: Path) -> None:
    found = read(folder, f"environments: {{a: {{python: {sys.executable}}}, b: {{python: sh}}}}")
    for name, program in (("a", Path(sys.executable).name), ("b", "sh")):
        software = found.environment(Environment(reference=f"azureml:{name}:1"))
        assert software is not None
        assert software.python is not None
        assert software.python.name == program


def test_every_mistake_is_told_with_its_line(folder: Path) -> None:
    text = """\
        inputs:
          https://host/a: nowhere.csv
        environments:
          a: {python: rates.csv}
          b: {requirements: nowhere.txt}
        """
    with pytest.raises(InvalidDocument) as caught:
        read(folder, text)
    assert [(problem.line, problem.field) for problem in caught.value.problems] == [
        (2, "inputs.https://host/a"),
        (4, "environments.a.python"),
        (5, "environments.b.requirements"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input: {}", "Did you mean 'inputs'"),
        ("environments: {a: {python: x, requirements: y}}", "either `python:`"),
        ("environments: {a: {}}", "either `python:`"),
        ("data: [x]", "expected a mapping"),
        ("data: {x: 3}", "expected text"),
    ],
)
def test_what_cannot_be_understood_is_refused(folder: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidDocument, match=said):
        read(folder, text)


def test_the_first_of_two_files_counts(folder: Path) -> None:
    first, second = folder / "first.yml", folder / "second.yml"
    first.write_text("data: {x: rates.csv}\nmodels:\n")
    second.write_text("data: {x: train.yml, y: train.yml}")
    found = read_substitutions(first, second)
    assert found.address("azureml:x:1") == str(folder / "rates.csv")
    assert found.address("azureml:y:1") == str(folder / "train.yml")
