"""The rules that conftest.py holds for every test, tried on small test files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent

SKIPS = {
    "by mark": "import pytest\n@pytest.mark.skip(reason='moonless night')\ndef test_a(): pass\n",
    "while running": "import pytest\ndef test_a(): pytest.skip('moonless night')\n",
    "on import": "import pytest\npytest.skip('moonless night', allow_module_level=True)\n",
}


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
def test_a_skip_fails_in_ci_and_says_why(tmp_path: Path, source: str) -> None:
    ran = run_pytest(tmp_path, source, CI="true")
    assert ran.returncode != 0
    assert "CI skips nothing" in ran.stdout
    assert "moonless night" in ran.stdout


def test_a_skip_is_no_failure_on_a_persons_machine(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, SKIPS["by mark"] + "def test_b(): pass\n", CI="")
    assert ran.returncode == 0
    assert "1 passed, 1 skipped" in ran.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0\n"
    assert run_pytest(tmp_path, source, CI="true").returncode == 0


def test_a_detached_process_that_outlives_its_test_is_named_and_ended(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    ran = run_pytest(
        tmp_path,
        "import pathlib, subprocess\n"
        "def test_forgetful():\n"
        f"    process = subprocess.Popen({sleep!r}, start_new_session=True)\n"
        "    process.returncode = 0  # nobody waits for it\n"
        "    pathlib.Path('pid').write_text(str(process.pid))\n",
    )
    assert ran.returncode != 0
    assert "::test_forgetful left process" in ran.stdout
    assert not is_alive(int((tmp_path / "pid").read_text()))


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that is dead and not yet reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_pytest(folder: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One test file, run by pytest in an empty folder under the repository's conftest.py."""
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_it.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder)],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
