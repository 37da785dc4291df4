from __future__ import annotations

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
    assert findings["node"]["status"] == "missing"
    assert "Azurite" in findings["node"]["gives"]
    assert findings["bash"]["status"] == "missing"


def test_a_home_that_cannot_be_written_is_a_problem(
    mlops: Mlops, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("MLOPS_HOME", str(here / "file" / "home"))
    ran = mlops("doctor")
    assert ran.status == 1
    assert "Mend first: home." in ran.err
