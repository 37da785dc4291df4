from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.workspace.local.parallel.conftest import Step

_MEGABYTE = 1 << 20


def _peak(step: Step) -> float:
    """Run the step; the memory in MB of the largest of its processes at its peak."""
    driver = step.start(mini_batch_size="50", mini_batch_error_threshold=0)
    assert driver.stdout is not None
    assert driver.stderr is not None
    driver.stdout.read()
    error = driver.stderr.read()
    _, status, usage = os.wait4(driver.pid, 0)
    driver.returncode = os.waitstatus_to_exitcode(status)
    driver.stdout.close()
    driver.stderr.close()
    assert driver.returncode == 0, error
    unit = _MEGABYTE if os.uname().sysname == "Darwin" else 1024
    return float(usage.ru_maxrss / unit)


@pytest.mark.slow
def test_memory_stays_flat_as_files_grow_to_a_hundred_thousand(step: Step) -> None:
    step.script("def run(mini_batch): return [path[-10:] for path in mini_batch]")
    step.files(1)
    few = _peak(step)
    for number in range(100_000):
        (step.input / f"{number:06d}.txt").touch()
    (step.state / "progress.db").unlink()
    many = _peak(step)
    assert many - few < 12, f"{few:.0f} MB for one file, {many:.0f} MB for 100,000"
    with step.rows.open() as rows:
        assert sum(1 for _ in rows) == 100_001


def test_a_mini_batch_larger_than_the_connection_holds_up_nobody(step: Step) -> None:
    step.files(2)
    for number in range(4_000):
        (step.input / f"{'x' * 200}{number:04d}.txt").touch()
    step.script("""
        import os
        def run(mini_batch): return ["y" * 2_000] * len(mini_batch)
    """)
    ended = step.run(mini_batch_size="2001", mini_batch_error_threshold=0)
    assert ended.status == 0, ended.error
    assert len(step.delivered()) == 4_002
