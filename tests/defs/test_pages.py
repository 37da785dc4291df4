"""What a person sees first in Dagster's UI after `mlops demo`, looked at with a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

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


def _open(page: Page, ui: str, asset: str) -> None:
    page.goto(f"{ui}/assets/dropping/{asset}")
    expect(page.get_by_role("cell", name=FIRST[asset][0], exact=True)).to_be_visible()


def _metadata_keys(page: Page) -> list[str]:
    """The keys of the table of metadata, as a person reads them from the top."""
    table = page.locator("table").filter(has=page.get_by_role("cell", name="Timestamp", exact=True))
    keys = table.last.locator("xpath=./tbody/tr/td[1]").all_inner_texts()
    return [" ".join(key.split()) for key in keys if key.strip() != "Key"]
