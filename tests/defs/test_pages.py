"""What a person sees first in Dagster's UI after `mlops demo`, looked at with a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from mlops_dagster.workspace.local.tracking.pages import UI_PORT

from .demonstrated import demonstrated_ui

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# The first keys of each page's metadata.
FIRST = {
    "train/evaluate": ["picture curve", "MLflow run", "parameters"],
    "models/doubler": ["champion", "version", "gate", "model card", "MLflow run"],
    "landing/scores": ["drops", "preview", "rows scored"],
    "landing/quarantine": ["in quarantine", "preview", "files in quarantine"],
}
CHECKS = {
    "numbers": {"rows": "Succeeded"},
    "models/doubler": {"quality_gate": "Succeeded"},
    "landing/scores": {
        "freshness": "Succeeded",
        "given_up": "Succeeded",
        "reconciliation": "Succeeded",
    },
    "landing/quarantine": {"unseen": "Failed"},  # two files that nobody has looked at
}
# How Dagster's pages say that there is nothing behind an address.
NOTHING = re.compile("No run found|not found|Could not find|does not exist|No assets were found")


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mlops ui` on what `mlops demo` left."""
    with demonstrated_ui(tmp_path_factory.mktemp("demonstrated")) as address:
        yield address


@pytest.mark.parametrize("asset", FIRST)
def test_the_page_of_an_asset_begins_with_what_a_person_looks_for(
    ui: str, page: Page, asset: str
) -> None:
    _open(page, ui, asset)
    assert _metadata_keys(page)[: len(FIRST[asset])] == FIRST[asset]


def test_what_is_meant_for_programs_comes_last(ui: str, page: Page) -> None:
    for asset in ("train/evaluate", "models/doubler"):
        _open(page, ui, asset)
        keys = _metadata_keys(page)
        assert keys[-2:] == ["outputs", "lineage"]
        assert keys.index("auc") > keys.index("MLflow run")


@pytest.mark.parametrize("asset", CHECKS)
def test_after_the_demo_every_check_says_what_it_found(ui: str, page: Page, asset: str) -> None:
    page.goto(f"{ui}/assets/dropping/{asset}?view=checks")
    body = page.locator("body")
    expect(body).to_contain_text(f"Checks ({len(CHECKS[asset])})")
    for check, result in CHECKS[asset].items():
        expect(body).to_contain_text(re.compile(rf"{check}\s*{result}"))
    expect(body).not_to_contain_text(re.compile("not evaluated", re.IGNORECASE))


def test_an_address_with_nothing_behind_it_is_told_from_others(ui: str, page: Page) -> None:
    for path in ("runs/00000000-0000-0000-0000-000000000000", "locations/dropping/jobs/nothing"):
        page.goto(f"{ui}/{path}")
        expect(page.locator("body")).to_contain_text(NOTHING)


def test_no_link_of_the_pages_is_dead(ui: str, page: Page) -> None:
    links = set[str]()
    for asset in FIRST:
        _open(page, ui, asset)
        # In this order: the last part of the page that is drawn is its definition.
        expect(page.get_by_text("Source code", exact=True)).to_be_visible()
        links.update(page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)"))
    assert any("/mlflow/" in link for link in links)
    assert any(link.startswith("vscode://") for link in links)
    assert any("/runs/" in link for link in links)
    # The demo ran before the UI, and so takes it to be where it is by default.
    own = {link.replace(f"http://127.0.0.1:{UI_PORT}/", f"{ui}/") for link in links}
    assert [reason for link in sorted(own) if (reason := _why_dead(page, ui, link))] == []


def _open(page: Page, ui: str, asset: str) -> None:
    page.goto(f"{ui}/assets/dropping/{asset}")
    expect(page.get_by_role("cell", name=FIRST[asset][0], exact=True)).to_be_visible()


def _metadata_keys(page: Page) -> list[str]:
    """The keys of the table of metadata, as a person reads them from the top."""
    table = page.locator("table").filter(has=page.get_by_role("cell", name="Timestamp", exact=True))
    keys = table.last.locator("xpath=./tbody/tr/td[1]").all_inner_texts()
    return [" ".join(key.split()) for key in keys if key.strip() != "Key"]


def _why_dead(page: Page, ui: str, link: str) -> str | None:
    """What is wrong with a link; None for one that leads somewhere."""
    parts = urlsplit(link)
    if parts.scheme == "vscode":
        file = Path("/", unquote(parts.path.rpartition(":")[0]).lstrip("/"))
        return None if file.exists() else f"{link}: no such file"
    if parts.hostname == "docs.dagster.io":  # Dagster's own, and elsewhere
        return None
    if not link.startswith(f"{ui}/"):
        return f"{link}: not of this machine"
    answer = page.request.get(link, timeout=120_000)
    if not answer.ok:
        return f"{link}: status {answer.status}"
    if "/mlflow/" in parts.path:
        return None
    page.goto(link)
    page.wait_for_load_state("networkidle")
    text = page.locator("body").inner_text()
    return f"{link}: {match.group()}" if (match := NOTHING.search(text)) else None
