"""Cron expressions: what Dagster's scheduler takes is taken, and all else is refused by name."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from dagster._utils.schedules import is_valid_cron_string, schedule_execution_time_iterator
from dagster._vendored.croniter.croniter import CroniterBadDateError
from hypothesis import example, given
from hypothesis import strategies as st

from mlops_dagster.aml import check
from mlops_dagster.aml.cron import cron_problem

_FIELD = st.one_of(
    st.sampled_from(
        [
            "*",
            "?",
            "*/5",
            "*/0",
            "*/61",
            "1-5",
            "5-1",
            "1-5/2",
            "1,2",
            "1,",
            "L",
            "15W",
            "1#2",
            "fri#3",
            "mon",
            "MON",
            "sun-sat",
            "jan",
            "Jan-Mar",
            "a",
            "H",
            "R",
            "-1",
            "1-",
            "٣",
        ]
    ),
    st.integers(0, 62).map(str),
)


@given(st.lists(_FIELD, min_size=4, max_size=6).map(" ".join))
@example("0 0 31 2 *")
@example("0 0 30,31 2 *")
@example("0 0 31 4 *")
@example("0 0 29 2 *")
@example("0 0 29 2 fri#5")
@example("61 2 * * *")
@example("0 24 * * *")
@example("* * * * * *")
def test_an_expression_is_taken_where_dagster_finds_five_fields_and_a_date(text: str) -> None:
    assert (cron_problem(text) is None) == (len(text.split()) == 5 and is_ticked_by_dagster(text))


def is_ticked_by_dagster(text: str) -> bool:
    if not is_valid_cron_string(text):
        return False
    ticks = schedule_execution_time_iterator(0, text, "UTC", ascending=True)
    try:
        return len(list(islice(ticks, 2))) == 2
    except CroniterBadDateError:
        return False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("61 2 * * *", "'61' is no minute"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 0 32 * *", "'32' is no day of the month"),
        ("0 0 * 13 *", "'13' is no month"),
        ("0 0 * * 8", "'8' is no day of the week"),
        ("a b c d e", "'a' is no minute"),
        ("0 0 31 2 *", "there is no such date in any year"),
        ("0 0 31 4,6,9,11 *", "there is no such date in any year"),
        ("@daily", "it has 1 field instead of five"),
        ("0 0 0 6 1 *", "it has 6 fields instead of five"),
    ],
)
def test_a_schedule_with_another_expression_is_refused_at_its_line(
    text: str, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "schedule.yml"
    file.write_text(
        f"name: s\ntrigger:\n  type: cron\n  expression: '{text}'\ncreate_job:\n"
        "  type: command\n  command: date\n  environment: azureml:any@latest\n"
    )
    (problem,) = check(file)
    assert (problem.line, problem.field) == (4, "trigger.expression")
    assert problem.message == f"Found {text!r}: {reason}."
