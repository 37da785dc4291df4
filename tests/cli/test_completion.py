"""A shell completes commands, options and the names of what the workspace has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mlops_dagster.home import find_home
from mlops_dagster.workspace import connect

from .conftest import program_path


def test_names_are_completed_and_completing_leaves_nothing_behind(here: Path) -> None:
    assert completions("mlops model show ") == []
    assert not find_home().exists()
    (here / "w.txt").write_text("w")
    with connect("local") as workspace:
        for name in ("flight-delays", "flight-costs", "other"):
            workspace.models.register(name, here / "w.txt", type="custom_model")
    assert set(completions("mlops model show fl")) == {"flight-delays", "flight-costs"}
    assert completions("mlops model show --name oth") == ["other"]
    assert completions("mlops model show -n flight-c") == ["flight-costs"]
    assert completions("mlops job show f") == []
    assert completions("mlops sch") == ["schedule"]
    assert completions("mlops job list --max") == ["--max-results"]


def completions(line: str) -> list[str]:
    """What bash would offer at the end of the line."""
    words = line.split()
    ran = subprocess.run(
        [program_path()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "_MLOPS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - (not line.endswith(" "))),
        },
    )
    assert ran.stderr == ""
    return ran.stdout.split()
