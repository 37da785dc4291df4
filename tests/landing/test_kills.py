"""The process dies at a line of the package, and is started again: every row once, all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_at_any_line_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """``KILLS`` says at how many places beside the main steps; a large number takes all."""
    most = os.environ.get("KILLS", "20")
    done = subprocess.run(
        [sys.executable, "-m", "tests.landing.kills", tmp_path, most],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
