"""The project in Dagster's UI, looked at with a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from .conftest import Tiny

pytestmark = pytest.mark.slow

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_PATIENCE = 60_000  # ms; the first page waits for the code location to load

WORKSPACE = "load_from:\n  - python_file: {relative_path: definitions.py, location_name: tiny}\n"


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a headless Chromium that speaks to nobody but the servers it is sent to."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None and _ON_MACOS.exists():
        program = str(_ON_MACOS)
    if program is None:
        pytest.skip("no Chromium here; on Debian and Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        page = browser.new_page(viewport={"width": 1800, "height": 1000})
        page.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        yield page
        browser.close()


@pytest.fixture
def ui(tiny: Tiny) -> Iterator[str]:
    """The address of `mlops ui` on the tiny project, of which ingest has run."""
    tiny.materialize("ingest/write", "numbers")
    tiny.write("workspace.yaml", WORKSPACE)
    mlops = Path(sys.executable).with_name("mlops")
    server = subprocess.Popen(
        [mlops, "ui", "--no-open"], cwd=tiny.folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[2]
    finally:
        server.terminate()
        server.communicate(timeout=60)


def test_the_graph_reads_from_raw_data_to_the_last_step(ui: str, page: Page) -> None:
    groups = ",".join(
        f"global@global:tiny/{group}" for group in ("data_products", "ingest", "train")
    )
    page.goto(f"{ui}/asset-groups/?expanded={quote(groups)}")
    places = []
    for name in ("write", "numbers", "fit", "report"):
        node = page.locator("svg").get_by_text(name, exact=True).first
        expect(node).to_be_visible()
        box = node.bounding_box()
        assert box is not None
        places.append(box["x"])
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_an_asset_page_shows_kinds_columns_rows_owner_and_checks(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/tiny/numbers")
    expect(page.get_by_text("Azure ML", exact=True)).to_be_visible()
    expect(page.get_by_text("numbers", exact=True).first).to_be_visible()
    expect(page.get_by_text("Row count", exact=True)).to_be_visible()
    expect(page.get_by_text("Who.", exact=True)).to_be_visible()  # a column of the schema
    page.goto(f"{ui}/assets/tiny/numbers?view=checks")
    for check in ("schema", "rows", "nulls"):
        expect(page.get_by_text(check, exact=True).first).to_be_visible()


def test_a_run_shows_the_jobs_own_lines_while_it_runs(ui: str, page: Page, tiny: Tiny) -> None:
    hold = tiny.control / "hold"
    hold.touch()
    page.goto(f"{ui}/assets/tiny/train/fit")
    page.get_by_role("button", name="Materialize").first.click()
    _wait_for_a_run(page, tiny)
    run = tiny.instance.get_runs(limit=1)[0].run_id
    page.goto(f"{ui}/runs/{run}")
    expect(page.get_by_text("fitting").first).to_be_visible()
    assert tiny.instance.get_runs(limit=1)[0].status is dg.DagsterRunStatus.STARTED
    hold.unlink()
    expect(page.get_by_text("Success").first).to_be_visible()


def _wait_for_a_run(page: Page, tiny: Tiny) -> None:
    for _ in range(_PATIENCE // 100):
        if any(
            run.job_name == "__ASSET_JOB" and not run.is_finished
            for run in tiny.instance.get_runs(limit=1)
        ):
            return
        page.wait_for_timeout(100)
    pytest.fail("the button started no run")
