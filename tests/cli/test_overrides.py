from __future__ import annotations

import pytest

from mlops_dagster.cli.overrides import parse_overrides
from mlops_dagster.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0.1", -0.1),
        ("true", True),
        ("false", False),
        ("1.10", "1.10"),
        ("007", "007"),
        ("1e-3", "1e-3"),
        ("nan", "nan"),
        ("yes", "yes"),
        ("null", "null"),
        ("", ""),
        ("a=b", "a=b"),
        ("{a: 1}", "{a: 1}"),
        ("!!python/object/apply:os.system ['id']", "!!python/object/apply:os.system ['id']"),
        ("$(touch owned); `id` ${{inputs.x}}", "$(touch owned); `id` ${{inputs.x}}"),
        ("[red]\x1b[0m", "[red]\x1b[0m"),
    ],
)
def test_a_value_is_a_number_only_where_that_says_the_same(text: str, value: object) -> None:
    parsed = parse_overrides([f"inputs.x={text}"])
    assert parsed == {"inputs.x": value}
    assert type(parsed["inputs.x"]) is type(value)


def test_the_last_of_equal_fields_counts() -> None:
    assert parse_overrides(["a.b=1", "a.c=2", "a.b=3"]) == {"a.b": 3, "a.c": 2}


@pytest.mark.parametrize("setting", ["", "a", "=1", "a..b=1", ".a=1", "a.=1"])
def test_what_is_no_field_and_value_is_refused(setting: str) -> None:
    with pytest.raises(InvalidRequest, match="--set takes FIELD=VALUE") as refused:
        parse_overrides([setting])
    assert repr(setting) in str(refused.value)
