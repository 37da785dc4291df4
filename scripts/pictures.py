"""Takes the pictures of the documents, docs/images/*.png, from the Dagster UI on what the demo left.

They are taken of a copy of the state folder, beside a second, tiny project in a temporary folder,
so that the state itself stays as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent
from urllib.parse import quote

from playwright.sync_api import Page, expect

from mlops_dagster.home import find_home
from scripts.browser import browser_page, chromium, served_ui

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
LARGEST = 300_000  # bytes

SAMPLE = "flight_delays"
SECOND = "taxi_tips"
# The groups whose assets the lineage shows; the others stay closed, so that it fits one picture.
EXPANDED = (
    f"{SAMPLE}/train",
    f"{SAMPLE}/models",
    f"{SAMPLE}/landing",
    f"{SECOND}/data_products",
    f"{SECOND}/train",
    f"{SECOND}/models",
)
# Each page of an asset, and a key of its metadata that is there once it is drawn.
PAGES = {
    "evaluate": ("train/evaluate", "picture roc"),
    "model": ("models/flight-delays", "champion"),
    "scores": ("landing/scores", "drops"),
    "quarantine": ("landing/quarantine", "in quarantine"),
}

PROJECT = {
    "definitions.py": """\
        from mlops_dagster import load_project

        defs = load_project(__file__)
        """,
    "project.yaml": """\
        name: taxi_tips
        owners: [team:city]
        data_products:
          rides: {description: "Rides of a day, one a line."}
        pipelines:
          ingest: {file: pipelines/ingest.yml}
          train: {file: pipelines/train.yml}
        models:
          taxi-tips: {metric: r2, at_least: 0.5}
        """,
    "pipelines/ingest.yml": """\
        type: pipeline
        jobs:
          ingest:
            type: command
            environment: {image: 'python:3.11'}
            command: seq 20 > ${{outputs.rides}}
            outputs:
              rides: {type: uri_file, name: rides}
        """,
    "pipelines/train.yml": """\
        type: pipeline
        inputs:
          rides: {type: uri_file, path: azureml:rides@latest}
        jobs:
          train:
            type: command
            environment: {image: 'python:3.11'}
            command: >-
              python -c "import mlflow; mlflow.log_metric('r2', 0.61)" &&
              cp ${{inputs.rides}} ${{outputs.model}}
            inputs:
              rides: ${{parent.inputs.rides}}
            outputs:
              model: {type: custom_model, name: taxi-tips}
        """,
}


def main() -> int:
    """Take every picture anew; 1 where one cannot be taken, with what is missing."""
    home = find_home(ROOT)
    program = chromium()
    if program is None:
        print("No Chromium here; on Debian and Ubuntu: apt-get install chromium")
        return 1
    if not (home / "dagster").is_dir():
        print(f"{home} holds nothing to see yet: run `make demo` first.")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        environment = {**os.environ, "MLOPS_HOME": str(root / ".mlops")}
        environment.pop("DAGSTER_HOME", None)
        try:
            _prepare(root, home, environment)
            with served_ui(root, environment) as address, browser_page(program) as page:
                _take_all(page, address)
        finally:
            _run(root, environment, "stop")
    return _report()


def _prepare(root: Path, home: Path, environment: dict[str, str]) -> None:
    """A copy of the state, and a workspace of two projects of which both have run."""
    # What runs in the background belongs to the state itself.
    shutil.copytree(home, root / ".mlops", ignore=shutil.ignore_patterns("services", "*.lock"))
    for name, text in PROJECT.items():
        file = root / SECOND / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    sample = ROOT / "projects" / SAMPLE / "definitions.py"
    locations = {SAMPLE: sample, SECOND: root / SECOND / "definitions.py"}
    (root / "workspace.yaml").write_text(
        "load_from:\n"
        + "".join(
            f"  - python_file: {{relative_path: '{file}', location_name: {name}}}\n"
            for name, file in locations.items()
        ),
        encoding="utf-8",
    )
    _run(root, environment, "demo", "--project", SECOND)


def _run(root: Path, environment: dict[str, str], *arguments: str) -> None:
    """Run `mlops` there."""
    mlops = Path(sys.executable).with_name("mlops")
    subprocess.run([mlops, *arguments], cwd=root, env=environment, check=True)


def _take_all(page: Page, address: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    _take_lineage(page, address)
    page.set_viewport_size({"width": 1600, "height": 900})
    for name, (asset, key) in PAGES.items():
        page.goto(f"{address}/assets/{SAMPLE}/{asset}")
        cell = page.get_by_role("cell", name=key, exact=True)
        expect(cell).to_be_visible()
        if name != "scores":  # whose rows and columns stand above
            heading = page.get_by_text("Metadata", exact=True)
            heading.evaluate("heading => heading.scrollIntoView()")
        if name == "evaluate":
            page.get_by_role("row").filter(has=cell).get_by_text("[Show Markdown]").click()
            expect(page.get_by_role("dialog").get_by_role("img").last).to_be_visible()
        page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def _take_lineage(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1500, "height": 1150})
    expanded = ",".join(f"global@global:{group}" for group in EXPANDED)
    page.goto(f"{address}/asset-groups/?expanded={quote(expanded)}")
    for name in ("flight-delays", "taxi-tips"):
        expect(page.locator("svg").get_by_text(name, exact=True).first).to_be_visible()
    # An asset is grey until the page knows whether it was made.
    page.wait_for_function(
        """() => [...document.querySelectorAll("svg [class*=AssetNodeBox]")].every(
            box => getComputedStyle(box).backgroundColor !== "rgb(247, 248, 249)")"""
    )
    page.screenshot(path=IMAGES / "lineage.png", animations="disabled")


def _report() -> int:
    """Name each picture and its size; 1 where one is too large for a page."""
    status = 0
    for picture in sorted(IMAGES.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size:,} bytes")
        if size > LARGEST:
            print(f"  more than {LARGEST:,}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
