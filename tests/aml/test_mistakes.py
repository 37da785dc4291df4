"""Wrong documents: each mistake is told with its file, line, field and remedy, all in one go.

Each file under ``mistakes/`` says beside a line, after ``#!``, what is wrong with that line:
field, message and remedy, parted by ``|``. FOLDER and PARENT stand for where the file lies.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_dagster.aml import check, load_job
from mlops_dagster.errors import InvalidDocument
from tests.aml.conftest import Write, mistakes_in

HERE = Path(__file__).parent / "mistakes"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yml")), ids=lambda path: path.stem)
def test_every_mistake_is_told_at_its_line_and_nothing_else(path: Path) -> None:
    told = {
        (problem.line, problem.field, problem.message, problem.remedy) for problem in check(path)
    }

    assert told == set(expected(path))


def expected(path: Path) -> list[tuple[int, str, str, str]]:
    mistakes = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        for note in line.split("#!")[1:]:
            told = note.replace("FOLDER", str(HERE)).replace("PARENT", str(HERE.parent))
            field, message, remedy = (part.strip() for part in told.split(" |"))
            missing_at_the_root = message == "This field is required." and "." not in field
            at = 1 if missing_at_the_root else number
            mistakes.append((at, field, message, remedy))
    return mistakes


def test_mistakes_in_several_files_are_told_at_once_each_at_its_own_line(write: Write) -> None:
    path = write(
        {
            "it.yml": """
                type: pipeline
                jobs:
                  a:
                    component: ./parts/a.yml
                    inputs: {x: one}
                  b:
                    component: ./parts/a.yml
                    inputs: {x: 1}
            """,
            "parts/a.yml": """
                name: a
                type: command
                command: run ${{inputs.y}}
                code: ./src
                environment: {image: i, conda_file: ../env.yml}
                inputs:
                  x: {type: integer, minimum: 3}
            """,
            "env.yml": "dependencies: [python=3.11, {pip: pandas}]\n",
        }
    )

    assert [line.partition(": ")[0] for line in mistakes_in(path)] == [
        "env.yml:1 dependencies.1.pip",
        "it.yml:5 jobs.a.inputs.x",
        "a.yml:3 command",
        "a.yml:4 code",
        "a.yml:7 inputs.x.minimum",
    ]


def test_a_component_that_contains_itself_is_told_by_its_chain(write: Write) -> None:
    path = write(
        {
            "it.yml": "type: pipeline\njobs:\n  x: {component: ./a.yml}\n",
            "a.yml": "name: a\ntype: pipeline\njobs:\n  x: {component: ./b.yml}\n",
            "b.yml": "name: b\ntype: pipeline\njobs:\n  x: {component: ./a.yml}\n",
        }
    )

    assert mistakes_in(path) == [
        "b.yml:4 jobs.x.component: The component contains itself: a.yml -> b.yml -> a.yml."
    ]


MULTIPLYING = b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 9))
    for level in range(1, 9)
)
BROKEN = {
    "nothing": b"",
    "a list": b"- a\n",
    "a tab": b"a:\n\t- b\n",
    "an open quote": b"a: 'b\n",
    "a NUL byte": b"a: \0b\n",
    "Latin-1": "a: é\n".encode("latin-1"),
    "an unknown tag": b"a: !!python/object:os.system x\n",
    "an impossible date": b"a: 2013-13-45\n",
    "a NUL character": b'command: "echo \\0"\n',
    "two documents": b"a: 1\n---\nb: 2\n",
    "a key twice": b"a: 1\na: 2\n",
    "a mapping as a key": b"? {a: b}\n: c\n",
    "an alias inside itself": b"command: &x\n  a: *x\n",
    "a list inside itself": b"jobs: &x [*x]\n",
    "a hundred thousand brackets": b"a: " + b"[" * 100_000,
    "aliases that multiply": b"a0: &a0 [x]\n" + MULTIPLYING,
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_no_document_is_told_by_its_path(case: str, tmp_path: Path) -> None:
    path = tmp_path / "it.yml"
    path.write_bytes(BROKEN[case])

    with pytest.raises(InvalidDocument) as raised:
        load_job(path)

    assert {problem.file for problem in raised.value.problems} == {path}


def test_a_file_that_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match=r"nowhere\.yml: There is no such file"):
        load_job(tmp_path / "nowhere.yml")


def test_what_a_schedule_sets_anew_is_told_at_its_line_of_the_schedule(write: Write) -> None:
    path = write(
        {
            "it.yml": """
                name: nightly
                trigger: {type: cron, expression: "0 3 * * *"}
                create_job:
                  job: ./job.yml
                  inputs:
                    rows: {type: folder, path: ./rows}
                  settings:
                    default_compute: cpu
            """,
            "job.yml": """
                type: pipeline
                inputs: {rows: {type: uri_folder, path: ./rows}}
                settings: {default_datastore: store}
                jobs:
                  one:
                    command: ls ${{inputs.rows}}
                    environment: azureml:any@latest
                    inputs: {rows: "${{parent.inputs.rows}}"}
            """,
        }
    )

    assert [line.rpartition(": ")[0] for line in mistakes_in(path)] == [
        "it.yml:6 create_job.inputs.rows.type",
        "it.yml:8 create_job.settings.default_compute",
        "job.yml:3 settings.default_datastore",
    ]


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("name: rows\ntype: uri_file\npath: ./rows.csv\n", 2, "a data asset"),
        ("name: m\ntype: custom_model\npath: ./model\n", 2, "a model"),
        ("name: cpu\ntype: amlcompute\nsize: s\n", 2, "a compute target"),
        ("name: e\nauth_mode: key\n", 1, "an endpoint"),
        ("name: d\nendpoint_name: e\nmodel: azureml:m:1\n", 1, "a deployment"),
        ("name: e\nchannels: []\ndependencies: [python]\n", 1, "a conda specification"),
        ("name: e\n$schema: https://example.com/managedOnlineDeployment.schema.json\n", 2,
         "a deployment"),
        ("$schema: https://example.com/latest/Flow.schema.json\nnodes: []\n", 1,
         "a flow of prompt flow"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_called_so(write: Write, text: str, line: int, name: str) -> None:
    with pytest.raises(InvalidDocument) as raised:
        load_job(write(text))

    (problem,) = raised.value.problems
    assert (problem.line, problem.message) == (line, f"This is {name}; a job is expected.")
