"""Every row of docs/azure-ml-yaml.md: Azure ML's own loader takes the YAML, and what the page says
of it happens."""

from __future__ import annotations

import ast
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_dagster import aml
from mlops_dagster.errors import InvalidRequest
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.ports import JobRecord, JobStatus
from tests.aml.language import ROWS
from tests.aml.language.row import Row

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "language" / "files"


def id_of(row: Row) -> str:
    return row.id


@pytest.fixture
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The row's YAML, with the files that it may name beside it."""
    folder = tmp_path / "row"
    shutil.copytree(FILES, folder)
    path = folder / "it.yml"
    path.write_text(request.param.text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkspace]:
    """One workspace for all rows, with the data that some of them name."""
    opened = LocalWorkspace(tmp_path_factory.mktemp("language") / ".mlops")
    opened.data.register("rows", str(FILES / "rows.csv"), type="uri_file", version="1")
    put = opened.home / "datastores" / "workspaceblobstore" / "put"
    put.mkdir(parents=True)
    shutil.copy(FILES / "rows.csv", put)
    yield opened
    opened.stop_services()
    opened.close()


def with_files(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("row", "file"), [(row, row) for row in rows], indirect=["file"], ids=map(id_of, rows)
    )


def test_no_row_stands_twice_and_each_is_shown_in_one_way() -> None:
    assert [name for name, count in Counter(map(id_of, ROWS)).items() if count > 1] == []
    for row in ROWS:
        ways = (row.logs, row.refuses, row.loads, row.test)
        assert sum(bool(way) for way in ways) == 1, row.id
        assert row.says or row.result == "honoured", row.id
        assert bool(row.refuses or row.test) or row.result != "refused", row.id


@with_files([row for row in ROWS if row.official])
def test_azure_mls_own_loader_takes_it(row: Row, file: Path) -> None:
    logging.getLogger("azure.ai.ml").setLevel(logging.CRITICAL)
    import azure.ai.ml as official
    from azure.ai.ml.entities._load_functions import load_schedule

    load = load_schedule if row.kind == "schedule" else getattr(official, f"load_{row.kind}")
    theirs = load(file)
    if hasattr(theirs, "_validate"):
        assert theirs._validate().error_messages == {}


@with_files([row for row in ROWS if row.logs])
def test_it_runs(row: Row, file: Path, local: LocalWorkspace) -> None:
    submitted = local.jobs.submit(aml.load_job(file))
    record = local.jobs.wait(submitted.name, timeout=60)
    log = "".join(local.jobs.log(job.name) for job in family(local, record))
    assert (record.status, record.error) == (JobStatus.COMPLETED, None), log
    assert row.logs is not None
    assert row.logs in log


def family(local: LocalWorkspace, record: JobRecord) -> list[JobRecord]:
    steps = local.jobs.list(parent=record.name)
    return [record, *(found for step in steps for found in family(local, step))]


@with_files([row for row in ROWS if row.refuses])
def test_it_is_refused(row: Row, file: Path, local: LocalWorkspace) -> None:
    assert row.refuses is not None
    with pytest.raises(InvalidRequest) as caught:
        local.jobs.submit(aml.load_job(file))
    assert row.refuses in str(caught.value)


@with_files([row for row in ROWS if row.loads or row.test])
def test_it_is_read(row: Row, file: Path) -> None:
    loaded = getattr(aml, f"load_{row.kind}")(file)
    for path, expected in row.loads.items():
        found = loaded
        for name in path.split("."):
            found = found[name] if isinstance(found, dict) else getattr(found, name)
        assert found == expected


@pytest.mark.parametrize("row", [row for row in ROWS if row.test], ids=id_of)
def test_the_test_that_runs_it_is_there(row: Row) -> None:
    assert row.test is not None
    path, _, name = row.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
