"""Rules for every test of the repository: in CI nothing is skipped, and no process is left behind."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Generator

import psutil
import pytest

# Tests that CI may skip: a node id or the beginning of one, and the reason why it cannot run there.
MAY_BE_SKIPPED: dict[str, str] = {}

# Inherited by every process that a test starts, however far it detaches itself.
SESSION = "MLOPS_TEST_SESSION"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[SESSION] = uuid.uuid4().hex


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_a_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_a_skip_in_ci(report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # Last, so that the workers of pytest-xdist, which inherit the mark as well, are gone.
    if hasattr(session.config, "workerinput"):
        return
    left = _left_behind(os.environ[SESSION], deadline=time.monotonic() + 5)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    for process, test, command in left:
        if reporter is not None:
            reporter.write_line(f"\n{test} left process {process.pid} behind: {command}", red=True)
        process.kill()
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _fail_a_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    expected = hasattr(report, "wasxfail") or report.nodeid.startswith(tuple(MAY_BE_SKIPPED))
    if report.skipped and os.environ.get("CI") and not expected:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid} was skipped, and CI skips nothing ({reason}).\n"
            "Make it run there, or add it with a reason to MAY_BE_SKIPPED in conftest.py."
        )


def _left_behind(mark: str, *, deadline: float) -> list[tuple[psutil.Process, str, str]]:
    """Marked processes that live past the deadline: each with its test and its command."""
    while True:
        left = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if process.pid == os.getpid() or environment.get(SESSION) != mark:
                    continue
                test = environment.get("PYTEST_CURRENT_TEST", "a test").removesuffix(" (call)")
                left.append((process, test, " ".join(process.cmdline())))
            except (psutil.Error, OSError):  # gone by now, or not ours to look at
                continue
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
