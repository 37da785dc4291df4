"""Every dropped row is scored exactly once, whatever is killed in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.storm import storm


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_row_is_scored_once_whatever_is_killed(tmp_path: Path) -> None:
    report = storm(tmp_path, drops_=60, kills=6, seed=1, seconds=170)
    assert report.holds, str(report)
    assert sum(report.kills.values()) >= 6
    assert len(report.kills) >= 5, "too few kinds of processes were met to say anything"
