"""Every dropped row is scored exactly once, whatever is killed, and whatever the files do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.cli.azurite import Azurite
from tests.chaos.account import unreliable_account
from tests.chaos.files import Kind
from tests.chaos.storm import storm, storm_plan


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_row_is_scored_once_whatever_is_killed_and_whatever_lands(tmp_path: Path) -> None:
    plan = storm_plan(60, kills=6, seed=1, poison=1, outages=(2, 3, 8), restless=True)
    report = storm(tmp_path, plan, seconds=1500)
    assert report.holds, str(report)
    assert sum(report.kills.values()) >= 6
    assert len(report.kills) >= 5, "too few kinds of processes were met to say anything"
    assert set(report.kinds) == set(Kind)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("listing", [True, False], ids=["listing", "queue"])
def test_every_row_is_scored_once_in_an_account_whose_network_fails(
    azurite: Azurite, tmp_path: Path, listing: bool
) -> None:
    plan = storm_plan(40, kills=4, seed=2, poison=0, outages=(1, 10, 10), restless=False)
    with unreliable_account(azurite, listing=listing) as account:
        report = storm(tmp_path, plan, seconds=1200, account=account)
    assert report.holds, str(report)
    assert sum(report.kills.values()) >= 4
    assert set(report.faults) >= {"503", "429", "reset", "lost", "slow"}
