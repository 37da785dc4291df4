from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlops_dagster.workspace.local.parallel import worker
from mlops_dagster.workspace.local.parallel.worker.framing import BrokenFrame, Decoder, encode

if TYPE_CHECKING:
    from tests.workspace.local.parallel.conftest import Step

_FILES = sorted(Path(next(iter(worker.__path__))).rglob("*.py"))


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_what_a_worker_loads_is_old_python_and_the_standard_library(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 8))
    imported = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(str(node.module).split(".", maxsplit=1)[0])
    assert imported <= sys.stdlib_module_names


def test_a_worker_needs_nothing_of_this_project_in_its_interpreter(step: Step) -> None:
    step.files(2)
    step.script("""
        import importlib.util, sys
        def run(mini_batch):
            assert importlib.util.find_spec("mlops_dagster") is None
            return [sys.executable] * len(mini_batch)
    """)
    bare = str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]
    ended = step.run(python=bare, environment={"PYTHONPATH": ""}, mini_batch_error_threshold=0)
    assert ended.status == 0, ended.error
    assert set(step.delivered()) == {bare}


def test_an_interpreter_that_is_not_there_ends_the_step(step: Step) -> None:
    step.files(2)
    step.script("def run(mini_batch): return mini_batch")
    ended = step.run(python="/nowhere/bin/python")
    assert ended.status == 1
    assert "/nowhere/bin/python cannot be started: No such file or directory" in ended.error


def test_messages_survive_any_cut_and_any_name() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "run", "files": ["a\udcff", "ü" * 500]},
        {"type": "end"},
    ]
    stream = b"".join(encode(message) for message in messages)
    for size in (1, 3, 7, 4096):
        decoder = Decoder()
        pieces = (stream[at : at + size] for at in range(0, len(stream), size))
        assert [message for piece in pieces for message in decoder.feed(piece)] == messages


@pytest.mark.parametrize(
    "noise", [b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x02[]", b"\0\0\0\x03\xff\xfe\xfd"]
)
def test_what_is_not_a_message_is_told_apart(noise: bytes) -> None:
    with pytest.raises(BrokenFrame):
        Decoder().feed(noise)


def test_a_worker_does_not_hand_its_connection_to_the_programs_it_starts(step: Step) -> None:
    step.files(1)
    step.script("""
        import os, subprocess, sys
        def run(mini_batch):
            code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[3:-1])"
            out = subprocess.run([sys.executable, "-c", code], capture_output=True, close_fds=False)
            return [out.stdout.decode().strip()]
    """)
    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc")
    assert step.run().status == 0
    assert step.delivered() == ["[]"]
