"""The project in Dagster's UI, looked at with a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import dagster as dg
import pytest
from playwright.sync_api import Page, expect

from scripts.browser import PATIENCE, served_ui

from .conftest import Tiny

pytestmark = pytest.mark.slow

WORKSPACE = "load_from:\n  - python_file: {relative_path: definitions.py, location_name: tiny}\n"


@pytest.fixture
def ui(tiny: Tiny) -> Iterator[str]:
    """The address of `mlops ui` on the tiny project, of which ingest has run."""
    tiny.materialize("ingest/write", "numbers")
    tiny.write("workspace.yaml", WORKSPACE)
    with served_ui(tiny.folder) as address:
        yield address


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
    for _ in range(PATIENCE // 100):
        if any(
            run.job_name == "__ASSET_JOB" and not run.is_finished
            for run in tiny.instance.get_runs(limit=1)
        ):
            return
        page.wait_for_timeout(100)
    pytest.fail("the button started no run")
