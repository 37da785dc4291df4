from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workspace.local.parallel.conftest import Step

_SCRIPT = """
import os
def run(mini_batch):
    with open(os.environ["TRACE"], "a") as file:
        file.write("".join(os.path.basename(path) + "\\n" for path in mini_batch))
    if os.environ.get("BROKEN") in map(os.path.basename, mini_batch): raise ValueError("broken")
    return [open(path).read() for path in mini_batch]
"""


def _traced(step: Step) -> list[str]:
    trace = step.root / "trace"
    names = trace.read_text().split() if trace.exists() else []
    trace.unlink(missing_ok=True)
    return names


def _fail_once(step: Step, files: int = 6) -> None:
    """Run a step that fails at its fifth file."""
    step.files(files)
    step.script(_SCRIPT)
    ended = step.run(
        max_concurrency_per_instance=1,
        max_retries=0,
        mini_batch_error_threshold=0,
        environment={"TRACE": str(step.root / "trace"), "BROKEN": "004.txt"},
    )
    assert ended.status == 1
    assert _traced(step)[:5] == [f"{number:03d}.txt" for number in range(5)]


def test_a_resumed_run_does_only_what_is_left_and_delivers_all(step: Step) -> None:
    _fail_once(step)
    ended = step.run(environment={"TRACE": str(step.root / "trace")})
    assert ended.status == 0, ended.error
    assert sorted(_traced(step)) == ["004.txt", "005.txt"]
    assert step.delivered() == [str(number) for number in range(6)]
    assert "6/6 mini batches, 4 of them in an earlier run" in ended.out


def test_a_resumed_run_can_be_resumed_again(step: Step) -> None:
    _fail_once(step)
    environment = {"TRACE": str(step.root / "trace")}
    again = step.run(
        max_concurrency_per_instance=1,
        max_retries=0,
        mini_batch_error_threshold=0,
        environment=environment | {"BROKEN": "005.txt"},
    )
    assert again.status == 1
    _traced(step)
    ended = step.run(environment=environment)
    assert ended.status == 0
    assert _traced(step) == ["005.txt"]
    assert step.delivered() == [str(number) for number in range(6)]


def test_a_file_that_changed_or_is_new_is_run_again(step: Step) -> None:
    _fail_once(step)
    (step.input / "001.txt").write_text("changed")
    (step.input / "000a.txt").write_text("new")
    (step.input / "002.txt").unlink()
    assert step.run(environment={"TRACE": str(step.root / "trace")}).status == 0
    assert sorted(_traced(step)) == ["000a.txt", "001.txt", "004.txt", "005.txt"]
    assert step.delivered() == ["0", "new", "changed", "3", "4", "5"]


def test_rows_that_are_gone_are_made_again(step: Step) -> None:
    _fail_once(step)
    for rows in (step.state / "rows").iterdir():
        rows.unlink()
    assert step.run(environment={"TRACE": str(step.root / "trace")}).status == 0
    assert len(_traced(step)) == 6
    assert step.delivered() == [str(number) for number in range(6)]


@pytest.mark.slow
def test_a_driver_killed_again_and_again_delivers_every_row_once(step: Step) -> None:
    step.files(80)
    step.script("""
        import os, time
        def run(mini_batch):
            time.sleep(0.02)
            with open(os.environ["TRACE"], "a") as file: file.write("x")
            return [open(path).read() for path in mini_batch]
    """)
    environment = {"TRACE": str(step.root / "trace")}
    trace = step.root / "trace"
    for kill in range(5):
        driver = step.start(environment, max_retries=0)
        seen = trace.stat().st_size if trace.exists() else 0
        step.until(lambda seen=seen: trace.exists() and trace.stat().st_size >= seen + 8)  # type: ignore[misc]
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate()
        step.await_end_of_all()
        assert not step.rows.exists(), kill
    assert step.run(environment, max_retries=0).status == 0
    assert step.delivered() == [str(number) for number in range(80)]
    # At most what both workers had in hand at each kill was run twice.
    assert trace.stat().st_size <= 80 + 5 * 4
