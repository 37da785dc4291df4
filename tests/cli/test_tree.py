"""The tree of commands: each explains itself, and its page in docs/cli.md tells the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mlops_dagster.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
# What prints no data.
SILENT = {"mlops ui", "mlops stop"}


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


def options(command: Any) -> set[str]:
    """Every spelling of a command's options but --help."""
    return {
        spelling
        for parameter in command.params
        if parameter.param_type_name == "option"
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    } - {"--help", "-h"}


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
    assert len(command.help.splitlines()[0]) <= 80
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - SILENT))
def test_every_command_that_prints_data_prints_json_on_request(name: str) -> None:
    assert {"--output", "-o"} <= options(COMMANDS[name])


def test_the_page_describes_exactly_the_commands_that_exist() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_the_page_names_exactly_the_options_of_a_command(name: str) -> None:
    named = set(re.findall(r"`(-[a-z]|--[a-z-]+)\b", SECTIONS[name]))
    assert named == options(COMMANDS[name])


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_the_page_shows_one_example_that_the_command_can_read(name: str) -> None:
    examples = re.findall(r"```sh\n(.*?)```", SECTIONS[name], re.DOTALL)
    assert len(examples) == 1
    words = examples[0].split()
    depth = len(name.split())
    assert " ".join(words[:depth]) == name
    # Parses the example; the command is not run.
    with COMMANDS[name].make_context(name, words[depth:]) as context:
        assert context is not None
