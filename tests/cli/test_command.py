"""What all commands have in common: `--set` and `--tags` take several values, as in `az`."""

from __future__ import annotations

import pytest

from mlops_dagster.cli.command import repeat_options


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("--set a=1 b=2 -n x", "--set a=1 --set b=2 -n x"),
        ("--set a=1 --set b=2 c=3", "--set a=1 --set b=2 --set c=3"),
        ("--tags a=1 b=2 --set c=3 d=4", "--tags a=1 --tags b=2 --set c=3 --set d=4"),
        ("--set a=1 file.yml", "--set a=1 file.yml"),
        ("-n a=1 b=2", "-n a=1 b=2"),
        ("--set -a=1 b=2", "--set -a=1 --set b=2"),
        ("--set", "--set"),
    ],
)
def test_each_value_gets_its_option(given: str, read: str) -> None:
    assert repeat_options(given.split()) == read.split()


def test_an_empty_word_is_a_value_like_any_other() -> None:
    assert repeat_options(["-n", "", "--set", "a=1", "b=2"]) == [
        *("-n", "", "--set", "a=1", "--set", "b=2")
    ]
