from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

if TYPE_CHECKING:
    from tests.workspace.local.parallel.conftest import Step

_ECHO = """
import json
def run(frame):
    assert list(frame.index) == list(range(len(frame)))
    return [json.dumps(row, default=str) for row in frame.to_dict("records")]
"""


def _mltable(step: Step, text: str) -> dict[str, Any]:
    (step.input / "MLTable").write_text(text)
    return {"input": {"path": str(step.input), "type": "mltable"}}


def _delivered(step: Step) -> list[dict[str, Any]]:
    return [json.loads(line) for line in step.delivered()]


def _done(step: Step) -> int:
    return step.log("sys/job_report/*.csv").count("RUN_DONE")


@pytest.mark.parametrize("size", ["1", "7", "64", "300b", "1kb", "1mb"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_csv_cut_anywhere_gives_every_row_once_in_order(
    step: Step, size: str, ending: str
) -> None:
    rows = [f"{number},{'x' * (number * 7 % 31)},ü{number}" for number in range(40)]
    (step.input / "a.csv").write_bytes(ending.join(["n,text,name", *rows]).encode())
    (step.input / "b.csv").write_bytes(ending.join(["n,text,name", "40,,last", ""]).encode())
    step.script(_ECHO)
    plan = _mltable(step, "paths:\n  - pattern: ./*.csv\ntransformations:\n  - read_delimited\n")
    ended = step.run(mini_batch_size=size, mini_batch_error_threshold=0, **plan)
    assert ended.status == 0, ended.error
    assert [row["n"] for row in _delivered(step)] == list(range(41))
    assert _delivered(step)[9]["name"] == "ü9"
    if size == "1mb":
        assert _done(step) == 2


@pytest.mark.parametrize(
    ("options", "content", "rows"),
    [
        ("header: no_header", "1;2\n3;4\n", [{"Column1": 1, "Column2": 2}, {"Column1": 3, "Column2": 4}]),
        ("encoding: utf16", "a;b\nä;2\n".encode("utf-16"), [{"a": "ä", "b": 2}]),
        ("encoding: latin1", "a;b\nä;2\n".encode("latin-1"), [{"a": "ä", "b": 2}]),
        ("encoding: utf8", "a;b\nä;2\n".encode("utf-8-sig"), [{"a": "ä", "b": 2}]),
        ("support_multi_line: true", 'a;b\n"x\ny";2\n', [{"a": "x\ny", "b": 2}]),
        ("empty_as_string: true", "a;b\n;2\n", [{"a": "", "b": 2}]),
        ("infer_column_types: false", "a;b\n01;2\n", [{"a": "01", "b": "2"}]),
    ],
)  # fmt: skip
def test_reading_options_of_delimited_files(
    step: Step, options: str, content: str | bytes, rows: list[dict[str, Any]]
) -> None:
    (step.input / "a.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    step.script(_ECHO)
    reader = f"{{delimiter: ';', {options}}}"
    plan = _mltable(step, f"paths: [file: ./a.csv]\ntransformations: [read_delimited: {reader}]\n")
    ended = step.run(mini_batch_size="3", mini_batch_error_threshold=0, **plan)
    assert ended.status == 0, ended.error
    assert _delivered(step) == rows


def test_only_the_first_file_may_have_the_header(step: Step) -> None:
    (step.input / "1.csv").write_text("a,b\n1,2\n")
    (step.input / "2.csv").write_text("3,4\n5,6\n")
    step.script(_ECHO)
    reader = "read_delimited: {header: from_first_file}"
    plan = _mltable(step, f"paths: [pattern: '*.csv']\ntransformations: [{reader}]\n")
    assert step.run(mini_batch_size="4", **plan).status == 0
    assert [row["b"] for row in _delivered(step)] == [2, 4, 6]


def test_parquet_is_cut_by_row_groups_and_never_across_files(step: Step) -> None:
    frame = pd.DataFrame({"n": range(1000), "x": [i / 7 for i in range(1000)]})
    frame[:600].to_parquet(step.input / "a.parquet", row_group_size=100)
    frame[600:].to_parquet(step.input / "b.parquet", row_group_size=400)
    step.script(_ECHO)
    plan = _mltable(step, "paths: [pattern: '**/*.parquet']\ntransformations: [read_parquet]\n")
    ended = step.run(mini_batch_size="3kb", mini_batch_error_threshold=0, **plan)
    assert ended.status == 0, ended.error
    assert [row["n"] for row in _delivered(step)] == list(range(1000))
    assert 4 <= _done(step) <= 7


def test_json_lines_with_columns_kept_converted_and_told_by_the_path(step: Step) -> None:
    folder = step.input / "2024" / "05"
    folder.mkdir(parents=True)
    (folder / "east.jsonl").write_text('{"n": 1, "s": 5, "z": 0}\n{"n": 2, "s": 6, "z": 0}\n')
    step.script(_ECHO)
    plan = _mltable(
        step,
        """
        paths: [pattern: "**/*.jsonl"]
        transformations:
          - read_json_lines
          - extract_columns_from_partition_format:
              partition_format: "/{day:yyyy/MM}/{region}.jsonl"
          - drop_columns: z
          - convert_column_types: [{columns: s, column_type: string}]
        """,
    )
    ended = step.run(mini_batch_size="20", mini_batch_error_threshold=0, **plan)
    assert ended.status == 0, ended.error
    assert _delivered(step) == [
        {"n": number, "s": text, "day": "2024-05-01 00:00:00", "region": "east"}
        for number, text in [(1, "5"), (2, "6")]
    ]


def test_partition_keys_gather_the_rows_of_each_combination(step: Step) -> None:
    pd.DataFrame({"store": [1, 2, 1, None], "n": [0, 1, 2, 3]}).to_parquet(step.input / "a.parquet")
    pd.DataFrame({"store": [2.0, 3.0], "n": [4, 5]}).to_parquet(step.input / "b.parquet")
    step.script("""
        def run(frame, mini_batch_context):
            store = mini_batch_context.partition_key_value["store"]
            return [[store, n] for n in frame["n"]]
    """)
    plan = _mltable(step, "paths: [pattern: '*.parquet']\ntransformations: [read_parquet]\n")
    ended = step.run(partition_keys=["store"], mini_batch_error_threshold=0, **plan)
    assert ended.status == 0, ended.error
    assert step.delivered() == ["1.0 0", "1.0 2", "2.0 1", "2.0 4", "3.0 5", " 3"]


def test_partition_keys_of_files_are_their_key_value_folders(step: Step) -> None:
    for store, brand in [("b", "x"), ("a", "x"), ("a", "y"), ("b", "x")]:
        folder = step.input / f"store={store}" / f"brand={brand}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{len(list(folder.iterdir()))}.txt").touch()
    step.script("""
        def run(files, mini_batch_context):
            return [[*mini_batch_context.partition_key_value.values(), len(files)]] * len(files)
    """)
    assert step.run(partition_keys=["store", "brand"]).status == 0
    assert step.delivered() == ["a x 1", "a y 1", "b x 2", "b x 2"]


def test_a_list_of_files_in_an_mltable_is_given_as_paths(step: Step) -> None:
    step.files(4)
    (step.input / "other.png").touch()
    step.script("import os\ndef run(files): return [os.path.basename(path) for path in files]")
    assert (
        step.run(mini_batch_size="2", **_mltable(step, "paths: [pattern: ./*.txt]\n")).status == 0
    )
    assert step.delivered() == [f"{number:03d}.txt" for number in range(4)]


def test_a_file_that_is_not_what_it_says_is_one_failed_mini_batch(step: Step) -> None:
    pd.DataFrame({"n": [1, 2]}).to_parquet(step.input / "a.parquet")
    (step.input / "b.parquet").write_bytes(b"PAR1 this is not Parquet")
    (step.input / "c.parquet").write_bytes(b"")
    step.script(_ECHO)
    plan = _mltable(step, "paths: [pattern: '*.parquet']\ntransformations: [read_parquet]\n")
    ended = step.run(max_retries=0, mini_batch_error_threshold=2, **plan)
    assert ended.status == 0, ended.error
    assert [row["n"] for row in _delivered(step)] == [1, 2]
    assert step.log("sys/job_report/*.csv").count("LOAD_EXCEPTION") == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("paths: [file: ../secret.csv]", "lies outside of the table's folder"),
        ("paths: [file: /etc/passwd]", "lies outside of the table's folder"),
        ("paths: [pattern: '*.nothing']", "no file matches '*.nothing'"),
        ("paths: [pattern: '*']\ntransformations: [filter: x]", "'filter' is not supported"),
        ("paths: [pattern: '*']\ntransformations: [read_delimited: {seperator: x}]", "'seperator'"),
        ("paths: [pattern: '*']\ntransformations: [read_delimited: {encoding: klingon}]", "klingon"),
        ("paths: [pattern: '*']\ntransformations: [keep_columns: 3]", "keep_columns: 3 is not valid"),
        ("{", "cannot be read"),
        ("transformations: []", "names no paths"),
    ],
)  # fmt: skip
def test_an_mltable_that_cannot_be_honoured_is_refused_before_anything_runs(
    step: Step, text: str, told: str
) -> None:
    step.script("raise SystemExit('never imported')")
    ended = step.run(**_mltable(step, text))
    assert ended.status == 2
    assert told in ended.error
    assert "Traceback" not in ended.error
