"""What an environment asks for, what is missing_packages, and the environments that uv builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.aml.environment import Environment
from mlops_dagster.errors import MlopsError, Unsupported
from mlops_dagster.workspace.local.software import (
    Software,
    build_environment,
    current_interpreter,
    make_overlay,
    missing_packages,
    required_software,
)
from mlops_dagster.workspace.local.software.choice import installs
from mlops_dagster.workspace.local.software.interpreter import environment_interpreter
from mlops_dagster.workspace.local.software.software import read_requirements


@pytest.mark.parametrize(
    ("dependency", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.4=py311h_0", "numpy==1.26.4"),
        ("numpy>=1.26,<2", "numpy>=1.26,<2"),
        ("conda-forge::pandas=2.2", "pandas==2.2.*"),
        ("pytorch=2.4", "torch==2.4.*"),
        ("matplotlib-base", "matplotlib"),
    ],
)
def test_a_conda_dependency_is_said_in_the_words_of_pip(dependency: str, requirement: str) -> None:
    environment = Environment(conda={"dependencies": [dependency]})
    assert required_software(environment).requirements == (requirement,)


def test_python_and_what_belongs_to_it_is_not_a_requirement() -> None:
    conda = {"dependencies": ["python=3.10.4", "pip=23", "setuptools", "openssl"]}
    assert required_software(Environment(conda=conda)) == Software(python="3.10.4")


def test_a_conda_file_without_a_python_version_takes_any() -> None:
    assert required_software(Environment(conda={"dependencies": ["numpy"]})).python is None


def test_requirement_files_named_in_the_pip_section_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six==1.17.0  # a comment\n\nattrs\n")
    conda = {"dependencies": [{"pip": ["-r requirements.txt", "rich"]}]}
    environment = Environment(conda=conda, conda_file=tmp_path / "conda.yml")
    assert required_software(environment).requirements == ("six==1.17.0", "attrs", "rich")


def test_paths_in_a_file_of_requirements_start_from_it(tmp_path: Path) -> None:
    for name in ("lib/pyproject.toml", "wheels/a.whl", "pins.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "more.txt").write_text("rich\n")
    file = tmp_path / "requirements.txt"
    file.write_text(
        "-r more.txt\n-e ./lib\n./wheels/a.whl\n-c pins.txt\n--find-links=wheels\nsix\n"
        "https://host/wheels/b.whl\n./none\n"
    )
    assert read_requirements(file) == (
        "rich",
        f"-e {tmp_path}/lib",
        f"{tmp_path}/wheels/a.whl",
        f"-c {tmp_path}/pins.txt",
        f"--find-links={tmp_path}/wheels",
        "six",
        "https://host/wheels/b.whl",
        "./none",
    )


@pytest.mark.parametrize(
    ("command", "does"),
    [
        ("pip install x", True),
        ("cd a && pip3 install -r r.txt", True),
        ("python -m pip -q install x", True),
        ("uv pip install x", True),
        ("/usr/bin/pip install x", True),
        ("conda install -y x", True),
        ("pip list", False),
        ("python pipinstall.py", False),
        ("echo pip; install -d x", False),
    ],
)
def test_a_command_that_installs_packages_is_known(command: str, does: bool) -> None:
    assert installs(command) is does


def test_the_submitters_python_does_not_show_through_in_another_one(tmp_path: Path) -> None:
    own = Path(sys.executable).parent
    variables = {
        "PATH": f"{own}:/opt/venv/bin:/usr/bin",
        "VIRTUAL_ENV": "/opt/venv",
        "PYTHONPATH": "/mine",
        "HOME": "/home/me",
    }
    found = environment_interpreter(tmp_path / "bin" / "python").within(variables)
    assert found == {"PATH": f"{tmp_path}/bin:/usr/bin", "HOME": "/home/me"}
    assert current_interpreter().within(variables) == {
        **variables,
        "PATH": f"{own}:{variables['PATH']}",
    }


def test_what_the_interpreter_at_hand_lacks_is_named() -> None:
    software = Software(requirements=("pytest", "pytest<1", "not-there>=2", "--pre", "./wheel"))
    assert missing_packages(software) == ["pytest<1", "not-there>=2"]


@pytest.mark.parametrize(
    "line",
    [
        "-e ./library",
        "--editable=./library",
        "git+https://example.org/library.git",
        "git+https://example.org/library.git@v1#egg=not-there",
        "not-there @ file:///opt/library",
        "not-there @ git+https://example.org/library.git",
    ],
)
def test_what_is_built_from_sources_and_is_not_there_is_named(line: str) -> None:
    assert missing_packages(Software(requirements=(line,))) == [line]


@pytest.mark.parametrize(
    "line", ["pytest @ file:///opt/pytest", "-e git+https://example.org/x.git#egg=pytest", "-i x"]
)
def test_what_is_built_from_sources_and_is_there_is_not_missing(line: str) -> None:
    assert missing_packages(Software(requirements=(line,))) == []


def test_an_isolated_environment_has_what_was_asked_for_and_is_built_once(
    index: Path, tmp_path: Path
) -> None:
    software = Software(requirements=("greeting==1.0",))
    interpreter = build_environment(software, tmp_path / "home")
    for wheel in index.iterdir():
        wheel.unlink()
    assert build_environment(software, tmp_path / "home") == interpreter
    assert _version(interpreter, "greeting") == "1.0"


def test_an_environment_is_built_anew_where_the_state_folder_was_moved(
    index: Path, tmp_path: Path
) -> None:
    software = Software(requirements=("greeting==1.0",))
    before = build_environment(software, tmp_path / "home")
    (tmp_path / "home").rename(tmp_path / "moved")
    after = build_environment(software, tmp_path / "moved")
    assert after != before
    settings = (after.parent.parent / "bin/activate").read_text()
    assert str(tmp_path / "moved") in settings
    assert str(tmp_path / "home") not in settings


def test_an_environment_whose_python_is_gone_is_built_anew(index: Path, tmp_path: Path) -> None:
    software = Software(requirements=("greeting==1.0",))
    interpreter = build_environment(software, tmp_path / "home")
    interpreter.unlink()
    assert _version(build_environment(software, tmp_path / "home"), "greeting") == "1.0"


def test_a_package_that_cannot_be_had_is_told_and_leaves_nothing_half_built(
    index: Path, tmp_path: Path
) -> None:
    with pytest.raises(MlopsError, match="nowhere-to-be-found"):
        build_environment(Software(requirements=("nowhere-to-be-found",)), tmp_path / "home")
    assert [path.suffix for path in (tmp_path / "home" / "environments").iterdir()] == [".lock"]


def test_a_package_that_only_conda_has_is_named(tmp_path: Path) -> None:
    environment = Environment(conda={"dependencies": ["r-base=4.3", "cudatoolkit"]})
    with pytest.raises(Unsupported, match="r-base, cudatoolkit"):
        build_environment(required_software(environment), tmp_path)


@pytest.mark.usefixtures("index")
def test_what_a_command_installs_in_its_overlay_changes_nothing_underneath(tmp_path: Path) -> None:
    below = build_environment(Software(requirements=("greeting==1.0",)), tmp_path / "home")
    above = make_overlay(environment_interpreter(below), tmp_path / "make_overlay").python
    assert _version(above, "greeting") == "1.0"
    subprocess.run(
        ["bash", "-c", "pip install --quiet greeting==2.0"],
        check=True,
        env={"PATH": f"{above.parent}:/usr/bin:/bin", "PIP_NO_INDEX": "1", **_links(tmp_path)},
    )
    assert _version(above, "greeting") == "2.0"
    assert _version(below, "greeting") == "1.0"


def _links(tmp_path: Path) -> dict[str, str]:
    return {"PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _version(interpreter: Path, package: str) -> str:
    code = f"import {package}; print({package}.VERSION)"
    ran = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True)
    assert interpreter != Path(sys.executable)
    return ran.stdout.strip()
