from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local.parallel.plan import file_count, read_plan, size_in_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workspace.local.parallel.conftest import Step


def _written(step: Step, **changes: Any) -> Path:
    step.script("def run(mini_batch): return mini_batch")
    path = step.root / "plan.json"
    path.write_text(json.dumps(step.plan | changes))
    return path


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("10kb", 10240), ("1.5 MB", 1572864), ("2GB", 2 << 30), ("7b", 7)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "kb", "0", "-1kb", "1tb", "ten", "1e999", "0.1b"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a size"):
        size_in_bytes(text)


@pytest.mark.parametrize("text", ["10kb", "0", "-3", "1.5", ""])
def test_what_is_not_a_number_of_files_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a number of files"):
        file_count(text)


def test_predefined_arguments_win_and_stay_for_the_script(step: Step) -> None:
    arguments = ["--model", "m", "--error_threshold", "5", "--task_overhead_timeout=30"]
    plan = read_plan(_written(step, arguments=arguments, error_threshold=1))
    assert (plan.error_threshold, plan.task_overhead_timeout) == (5, 30)
    assert list(plan.arguments) == arguments


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"typo": 1}, "typo: Extra inputs"),
        ({"code": "code"}, "code: Value error, code is not an absolute path"),
        ({"error_threshold": -2}, "error_threshold"),
        ({"timeout": 0}, "timeout"),
        ({"logs": None}, "logs"),
        ({"entry_script": "entri.py"}, "Scripts there: entry.py"),
        ({"input": {"path": "/nowhere/at/all"}}, "/nowhere/at/all does not exist"),
        ({"arguments": ["--error_threshold", "few"]}, "--error_threshold"),
        ({"arguments": ["--error_threshold", "-5"]}, "error_threshold"),
        ({"mini_batch_size": "10kb"}, "is not a number of files"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_mistake_and_nothing_is_run(
    step: Step, changes: dict[str, Any], told: str
) -> None:
    step.files(1)
    step.script("raise SystemExit('never imported')")
    ended = step.run(**changes)
    assert ended.status == 2
    assert told in ended.error
    assert "Traceback" not in ended.error
    assert not list(step.logs.glob("user/**/*.txt"))
