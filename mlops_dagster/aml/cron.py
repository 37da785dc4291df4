"""Cron expressions, by the rules of Dagster's scheduler: it carries out every schedule here.

Dagster has its own copy of croniter 6.0, whose rules later versions changed; pyproject.toml asks
for the same version, and tests/aml/test_cron.py compares the two.
"""

from __future__ import annotations

_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
CRON_REMEDY = "Write minute, hour, day, month and day of the week, such as 0 6 * * 1."


def cron_problem(expression: str) -> str | None:
    """Why a schedule cannot have this cron expression; None where it can.

    It has five fields, each in its range, and there is a date at which it is due.
    """
    from croniter import CroniterBadDateError, croniter

    fields = expression.split()
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)} field{'' if len(fields) == 1 else 's'} instead of five"
    for position, (field, name) in enumerate(zip(fields, _FIELDS, strict=True)):
        alone = ["*"] * len(_FIELDS)
        alone[position] = field
        if not croniter.is_valid(" ".join(alone)):
            return f"{field!r} is no {name}"
    if not croniter.is_valid(expression):
        return "its fields do not go together"
    try:
        croniter(expression).get_next()
    except CroniterBadDateError:
        return "there is no such date in any year"
    return None
