"""Whatever stands in a document, a loader answers with a value or with InvalidDocument."""

from __future__ import annotations

import copy
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops_dagster import aml
from mlops_dagster.errors import InvalidDocument

CASES = Path(__file__).parent / "conformance"
KINDS = ("job", "component", "data", "model", "environment", "compute", "schedule")
ODD: list[Any] = [
    None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "x", "\0", "a" * 5000, "~",
    "../..", "file:", "azureml:", "azureml://", "azureml::", "${{", "${{}}", "${{parent.jobs.}}",
    "${{parent.inputs.}}", "${{parent.inputs.a}}", "${{parent.jobs.a.outputs.b}}", "$[[", "2013-01-01",
    [], {}, [None], {"a": None}, {1: 2}, {None: 1}, {True: 1}, [[]], ["a", {"b": []}], {"path": {}},
    {"value": []}, {"type": []}, {"type": "command"}, "command", "pipeline", "sweep", "parallel",
    "spark", "automl", "if_else", "do_while", "parallel_for", "uri_file", "integer",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_a_mangled_document_is_loaded_or_refused(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    shutil.copytree(CASES, tmp_path / "cases")
    files = sorted(path for kind in KINDS for path in (tmp_path / "cases" / kind).glob("*.yml"))
    refused: list[InvalidDocument] = []
    for _ in range(120):
        path = draw.choice(files)
        mangled = path.with_name("mangled.yml")
        content = yaml.safe_load(path.read_text())
        for _ in range(draw.randint(1, 4)):
            mangle(content, draw)
        mangled.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            getattr(aml, f"load_{path.parent.name}")(mangled)
        except InvalidDocument as error:
            refused.append(error)

    assert 30 < len(refused) < 120
    assert all(problem.message for error in refused for problem in error.problems)


def mangle(content: Any, draw: random.Random) -> None:
    """Replace, remove, rename or move one thing in it."""
    places = [place for place in places_in(content) if place]
    if not places:
        return
    *through, last = draw.choice(places)
    around = at(content, through)
    match draw.randrange(5):
        case 0 | 1:
            around[last] = copy.deepcopy(draw.choice(ODD))
        case 2 if isinstance(around, dict):
            del around[last]
        case 3 if isinstance(around, dict):
            key = draw.choice(["zz", 3, None, True, "inputs", "type", "component", "jobs"])
            around[key] = around.get(last)
        case _:
            around[last] = copy.deepcopy(at(content, draw.choice(places)))


def at(content: Any, place: Any) -> Any:
    for step in place:
        content = content[step]
    return content


def places_in(content: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: Any = content if isinstance(content, dict) else ()
    keys = range(len(content)) if isinstance(content, list) else keys
    return [here, *(place for key in keys for place in places_in(content[key], (*here, key)))]
