"""The tree of commands: each explains itself, and its page in docs/cli.md tells the same."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mlops_dagster.cli.main import app

from .conftest import program_path

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
# What prints no data.
SILENT = {"mlops ui", "mlops mlflow", "mlops stop"}


def commands(command: Any = None, path: str = "mlops") -> dict[str, Any]:
    """Every command by its full name."""
    command = command or get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    return {
        name: found
        for word, sub in inner.items()
        for name, found in commands(sub, f"{path} {word}").items()
    }


def options(command: Any, *, hidden: bool = False) -> set[str]:
    """Every spelling of a command's options but --help."""
    return {
        spelling
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.hidden is hidden
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    } - {"--help", "-h"}


def own_options(command: Any) -> set[str]:
    """What the page says of a command by itself: what all have is said once."""
    names_a_thing = any(parameter.name == "name_option" for parameter in command.params)
    common = {"--output", "-o", "--query"} | ({"--name", "-n"} if names_a_thing else set())
    return options(command) - common


COMMANDS = commands()
SECTIONS = dict(
    re.findall(
        r"^### `(mlops [a-z ]+)`\n(.*?)(?=^##|\Z)",
        PAGE.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_a_help_text(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert len(command.help.splitlines()[0]) <= 90
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - SILENT))
def test_every_command_that_prints_data_prints_it_in_every_form_and_takes_a_query(
    name: str,
) -> None:
    assert {"--output", "-o", "--query"} <= options(COMMANDS[name])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_what_says_in_az_where_a_workspace_lies(name: str) -> None:
    taken = options(COMMANDS[name], hidden=True)
    assert {"-g", "--resource-group", "-w", "--workspace-name", "--subscription"} <= taken


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_fits_80_columns_cuts_nothing_off_and_ends_with_an_example(name: str) -> None:
    command = COMMANDS[name]
    group = name.rpartition(" ")[0]
    texts = [help_of(name), help_of(group)]
    for line in "\n".join(texts).splitlines():
        assert len(line) <= 80
        assert line.startswith("Usage:") or not line.endswith("...")
    said = " ".join(texts[1].split())
    assert " ".join(command.help.partition("\n\n")[0].split()) in said
    example = texts[0].splitlines()[-1].strip()
    words = example.split()
    depth = len(name.split())
    assert " ".join(words[:depth]) == name
    with COMMANDS[name].make_context(name, words[depth:]) as context:
        assert context is not None


def test_the_page_describes_exactly_the_commands_that_exist() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_the_page_names_exactly_the_options_of_a_command(name: str) -> None:
    named = set(re.findall(r"`(-[a-z]|--[a-z-]+)\b", SECTIONS[name]))
    shared = {"-o", "--name", "-n"}
    assert named - (shared - own_options(COMMANDS[name])) == own_options(COMMANDS[name])


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_the_page_shows_the_example_that_help_ends_with(name: str) -> None:
    examples = re.findall(r"```sh\n(.*?)\n```", SECTIONS[name], re.DOTALL)
    assert examples == [COMMANDS[name].epilog]


@cache
def help_of(name: str) -> str:
    """What `--help` prints on a terminal of 80 columns."""
    words = name.split()[1:]
    ran = subprocess.run(
        [program_path(), *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
        timeout=60,
    )
    return ran.stdout
