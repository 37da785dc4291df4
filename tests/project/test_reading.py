"""project.yaml: what it may say, and what is said of every mistake in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from mlops_dagster.errors import InvalidDocument, Problem
from mlops_dagster.project import (
    GivenInput,
    ModelInput,
    Origin,
    ProductInput,
    Project,
    read_project,
)

INGEST = """\
type: pipeline
outputs:
  rows: {type: uri_folder, name: rows}
jobs:
  write:
    type: command
    command: touch ${{outputs.rows}}/a
    environment: azureml:any@latest
    outputs: {rows: "${{parent.outputs.rows}}"}
"""

TRAIN = """\
type: pipeline
inputs:
  rows: {type: uri_folder, path: azureml:rows@latest}
  pinned: {type: uri_folder, path: azureml:rows:1}
  month: "2013-01"
outputs:
  model: {type: custom_model, name: the-model}
jobs:
  fit:
    type: command
    command: ls ${{inputs.rows}} ${{inputs.pinned}} ${{inputs.month}} > ${{outputs.model}}/m
    environment: azureml:any@latest
    inputs:
      rows: ${{parent.inputs.rows}}
      pinned: ${{parent.inputs.pinned}}
      month: ${{parent.inputs.month}}
    outputs: {model: "${{parent.outputs.model}}"}
"""

SCORE = """\
type: pipeline
inputs:
  drops: {type: uri_folder, path: azureml:rows@latest}
  model: {type: custom_model, path: azureml:the-model@latest}
outputs:
  scores: {type: uri_folder}
jobs:
  score:
    type: command
    command: ls ${{inputs.drops}} ${{inputs.model}} > ${{outputs.scores}}/s
    environment: azureml:any@latest
    inputs: {drops: "${{parent.inputs.drops}}", model: "${{parent.inputs.model}}"}
    outputs: {scores: "${{parent.outputs.scores}}"}
"""

WHOLE = """\
name: p
owners: [team:a, b@c.org]
data_products:
  rows: {schema: schema.yml, fresh_within: 31 days}
  scores: {from: score.scores}
pipelines:
  ingest: {file: ingest.yml}
  train: {file: train.yml}
  score:
    file: score.yml
    partitions: {every: month, first: 2013-09, last: 2013-12}
    inputs: {drops: {product: rows, path: year=%Y/month=%m}}
models:
  the-model: {metric: auc, at_least: 0.6}
jobs:
  retrain: {pipelines: [ingest, train], cron: 0 6 1 * *, timezone: America/New_York}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "schema.yml").write_text("columns: {a: {dtype: int64}}\n", encoding="utf-8")
    for name, text in (("ingest", INGEST), ("train", TRAIN), ("score", SCORE)):
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    return tmp_path


def read(folder: Path, text: str) -> Project:
    (folder / "project.yaml").write_text(dedent(text), encoding="utf-8")
    return read_project(folder)


def mistakes(folder: Path, text: str) -> list[Problem]:
    with pytest.raises(InvalidDocument) as raised:
        read(folder, text)
    return list(raised.value.problems)


def test_what_the_pipelines_say_is_not_said_again(folder: Path) -> None:
    project = read(folder, WHOLE)

    rows, scores = project.products["rows"], project.products["scores"]
    assert rows.origin == Origin("ingest", "write", "rows", "uri_folder", "rows")
    assert scores.origin == Origin("score", "score", "scores", "uri_folder", None)
    assert project.models["the-model"].origin.step == "fit"
    feeds = project.pipelines["train"].feeds
    assert feeds["rows"] == ProductInput("rows")
    assert isinstance(feeds["pinned"], GivenInput)
    assert isinstance(feeds["month"], GivenInput)
    assert project.pipelines["score"].feeds == {
        "drops": ProductInput("rows", "year=%Y/month=%m"),
        "model": ModelInput("the-model"),
    }


def test_what_is_left_out_comes_from_around_it(folder: Path) -> None:
    project = read(folder, WHOLE)

    assert project.products["rows"].owners == ("team:a", "b@c.org")
    assert project.products["rows"].fresh_within == timedelta(days=31)
    assert project.products["scores"].partitions == project.pipelines["score"].partitions
    partitions = project.pipelines["score"].partitions
    assert partitions is not None
    assert partitions.first.isoformat() == "2013-09-01T00:00:00"
    assert set(project.jobs) == {"ingest", "train", "score", "retrain"}


def test_a_name_alone_is_a_project(folder: Path) -> None:
    project = read(folder, "name: p\npipelines:\n")

    assert (project.name, project.pipelines, project.jobs) == ("p", {}, {})


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message", "remedy"),
    [
        ("name: p", "name: 1p", 1, "name", "Found '1p'", ""),
        ("owners: [team:a", "owners: [a", 2, "owners.0", "'team:NAME' is expected", ""),
        ("schema: schema.yml", "schmea: schema.yml", 4, "data_products.rows.schmea",
         "There is no such field.", "Did you mean 'schema'?"),
        ("schema.yml", "shema.yml", 4, "data_products.rows.schema",
         "The file 'shema.yml' is not there.", "Did you mean 'schema.yml'?"),
        ("31 days", "31 moons", 4, "data_products.rows.fresh_within", "Found '31 moons'", ""),
        ("score.scores", "score.scors", 5, "data_products.scores.from",
         "There is no pipeline output 'score.scors'.", "Did you mean 'score.scores'?"),
        ("  rows: {", "  raws: {", 4, "data_products.raws",
         "No pipeline registers an output as 'raws'.", "Did you mean 'rows'?"),
        ("file: train.yml", "file: trian.yml", 8, "pipelines.train.file",
         "The file 'trian.yml' is not there.", "Did you mean 'train.yml'?"),
        ("last: 2013-12", "last: 2013-08", 11, "pipelines.score.partitions",
         "last (2013-08-01) is before first", ""),
        ("every: month", "every: year", 11, "pipelines.score.partitions.every",
         "Found 'year'", ""),
        ("{drops: {", "{drosp: {", 12, "pipelines.score.inputs.drosp",
         "The pipeline has no input 'drosp'.", "Did you mean 'drops'?"),
        ("product: rows", "product: raws", 12, "pipelines.score.inputs.drops.product",
         "There is no data product 'raws'.", "Did you mean 'rows'?"),
        ("product: rows, path", "value: 3, path", 12, "pipelines.score.inputs.drops",
         "path is a path below a product", ""),
        ("the-model: {", "model: {", 14, "models.model",
         "No pipeline registers an output as 'model'.", "Did you mean 'the-model'?"),
        ("at_least: 0.6", "at_most: 0.6", 14, "models.the-model", "write at_least", ""),
        ("[ingest, train]", "[ingest, tarin]", 16, "jobs.retrain.pipelines.1",
         "There is no pipeline 'tarin'.", "Did you mean 'train'?"),
        ("0 6 1 * *", "0 6 32 * *", 16, "jobs.retrain.cron", "five cron fields", ""),
        ("0 6 1 * *", "0 6 31 2 *", 16, "jobs.retrain.cron", "there is no such date", ""),
        ("0 6 1 * *", "0 24 1 * *", 16, "jobs.retrain.cron", "'24' is no hour", ""),
        ("America/New_York", "New_York", 16, "jobs.retrain.timezone",
         "such as 'America/New_York'", ""),
        ("retrain:", "train:", 16, "jobs.train", "'train' is a pipeline", "Choose another name."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_its_field_and_a_remedy(
    folder: Path, old: str, new: str, line: int, field: str, message: str, remedy: str
) -> None:
    assert old in WHOLE
    problem = mistakes(folder, WHOLE.replace(old, new, 1))[0]

    assert problem.file == folder / "project.yaml"
    assert (problem.line, problem.field) == (line, field)
    assert message in problem.message
    assert remedy in problem.remedy


def test_mistakes_of_several_files_are_told_at_once(folder: Path) -> None:
    (folder / "schema.yml").write_text("rows: {}\n", encoding="utf-8")
    (folder / "train.yml").write_text(TRAIN.replace("inputs.month}}", "inputs.moth}}"))

    found = mistakes(folder, WHOLE.replace("score.yml", "scores.yml"))

    assert {problem.file.name for problem in found} == {"project.yaml", "schema.yml", "train.yml"}


def test_an_empty_folder_is_said_to_hold_no_project(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match=r"holds no project: it has no project\.yaml"):
        read_project(tmp_path)


def test_a_job_that_is_no_pipeline_is_refused(folder: Path) -> None:
    (folder / "train.yml").write_text(
        "type: command\ncommand: echo\nenvironment: azureml:a@latest\n"
    )

    (problem,) = mistakes(folder, "name: p\npipelines: {train: {file: train.yml}}\n")

    assert (problem.file.name, problem.line) == ("train.yml", 1)
    assert "a pipeline is expected" in problem.message


def test_a_branch_is_no_asset_and_the_message_says_what_to_do(folder: Path) -> None:
    branch = "  choose:\n    type: if_else\n    condition: true\n    true_block: ${{parent.jobs.write}}\n"
    (folder / "ingest.yml").write_text(INGEST + branch)

    (problem,) = mistakes(folder, "name: p\npipelines: {ingest: {file: ingest.yml}}\n")

    assert (problem.file.name, problem.line, problem.field) == ("ingest.yml", 10, "jobs.choose")
    assert "in a pipeline component" in problem.remedy


def test_two_pipelines_that_register_the_same_name_must_be_told_apart(folder: Path) -> None:
    text = """\
        name: p
        data_products: {rows: {}}
        pipelines: {one: {file: ingest.yml}, two: {file: ingest.yml}}
        """
    (problem,) = mistakes(folder, text)
    assert problem.message == "one/write and two/write both register 'rows'."

    project = read(folder, text.replace("{rows: {}}", "{rows: {from: two.rows}}"))
    origin = project.products["rows"].origin
    assert origin is not None
    assert origin.pipeline == "two"


def test_assets_that_wait_for_one_another_are_told_step_by_step(folder: Path) -> None:
    (folder / "ingest.yml").write_text(
        INGEST.replace("outputs:\n  rows", "inputs:\n  m: {type: custom_model, path: "
        "azureml:the-model@latest}\noutputs:\n  rows", 1)
        .replace("    outputs:", '    inputs: {m: "${{parent.inputs.m}}"}\n    outputs:')
        .replace("touch ", "touch ${{inputs.m}} ")
    )  # fmt: skip

    problems = mistakes(folder, WHOLE)

    told = " ".join(problem.message for problem in problems)
    assert "ingest/write needs models/the-model needs train/fit needs data_products/rows" in told


def test_a_pipeline_without_partitions_cannot_read_a_product_that_has_them(folder: Path) -> None:
    text = WHOLE.replace(
        "train: {file: train.yml}", "train: {file: train.yml, inputs: {pinned: scores}}"
    )

    problems = mistakes(folder, text)

    assert any("'scores', which is made in other partitions" in each.message for each in problems)


@pytest.mark.parametrize(
    ("product", "reader", "said"),
    [
        ("uri_file", "uri_folder", "The input 'rows' is declared uri_folder"),
        ("uri_folder", "uri_file", "The input 'rows' is declared uri_file"),
        ("mltable", "uri_file", "The input 'rows' is declared uri_file"),
    ],
)
def test_a_file_is_not_read_as_a_folder_nor_a_folder_as_a_file(
    folder: Path, product: str, reader: str, said: str
) -> None:
    (folder / "ingest.yml").write_text(INGEST.replace("{type: uri_folder", f"{{type: {product}"))
    (folder / "train.yml").write_text(
        TRAIN.replace("rows: {type: uri_folder", f"rows: {{type: {reader}")
    )
    text = WHOLE.partition("  score:\n")[0].replace("  scores: {from: score.scores}\n", "")

    (problem,) = mistakes(folder, text)

    assert (problem.file.name, problem.line, problem.field) == ("train.yml", 3, "inputs.rows")
    assert problem.message == f"{said}, and the data product 'rows' is a {product}."


def test_a_step_that_reads_a_product_as_another_type_is_told(folder: Path) -> None:
    (folder / "ls.yml").write_text(
        "name: ls\ntype: command\ncommand: ls ${{inputs.file}}\nenvironment: azureml:any@latest\n"
        "inputs: {file: {type: uri_file}}\n"
    )
    (folder / "train.yml").write_text(
        "type: pipeline\ninputs:\n  in: {type: uri_folder, path: nowhere}\njobs:\n"
        '  ls: {component: ./ls.yml, inputs: {file: "${{parent.inputs.in}}"}}\n'
    )
    head = WHOLE.partition("  score:\n")[0].replace("  scores: {from: score.scores}\n", "")

    (problem,) = mistakes(folder, head.replace("train.yml}", "train.yml, inputs: {in: rows}}"))

    assert (problem.line, problem.field) == (7, "pipelines.train.inputs.in")
    assert problem.message.startswith("The input 'file' of step 'ls' is declared uri_file")


def test_a_path_below_a_file_is_told(folder: Path) -> None:
    (folder / "ingest.yml").write_text(INGEST.replace("{type: uri_folder", "{type: uri_file"))
    (folder / "train.yml").write_text(TRAIN.replace("azureml:rows@latest", "azureml:rows:2"))

    (problem,) = mistakes(folder, WHOLE)

    assert (problem.line, problem.field) == (12, "pipelines.score.inputs.drops.path")
    assert "it has no paths below it" in problem.message


def test_a_value_that_does_not_fit_the_step_that_takes_it_is_told(folder: Path) -> None:
    (folder / "take.yml").write_text(
        "name: take\ntype: command\ncommand: echo ${{inputs.n}}\nenvironment: azureml:any@latest\n"
        "inputs: {n: {type: integer, max: 5}}\n"
    )
    (folder / "train.yml").write_text(
        "type: pipeline\ninputs: {n: 1}\njobs:\n"
        '  take: {component: ./take.yml, inputs: {n: "${{parent.inputs.n}}"}}\n'
    )
    text = "name: p\npipelines:\n  train:\n    file: train.yml\n    inputs: {n: {value: 9}}\n"

    (problem,) = mistakes(folder, text)

    assert (problem.line, problem.field) == (5, "pipelines.train.inputs.n")
    assert "jobs.take.inputs.n of train.yml: ${{parent.inputs.n}} is 9" in problem.message
    assert read(folder, text.replace("9", "5")).pipelines["train"].feeds
