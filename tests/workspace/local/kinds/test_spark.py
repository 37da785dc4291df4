"""Spark jobs: how they are launched, and what is said where Spark is not installed.

The launcher here is a program that tells how it was called: what Spark does is Spark's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from mlops_dagster.errors import InvalidRequest, Unsupported
from mlops_dagster.workspace.local import LocalWorkspace
from mlops_dagster.workspace.local.kinds import spark as spark_step
from mlops_dagster.workspace.ports import JobStatus
from tests.workspace.conftest import WriteJob

JOB = """
    type: spark
    code: ./src
    entry: {file: count.py}
    py_files: [helpers.zip]
    args: --rows ${{inputs.rows}} --word ${{inputs.word}} --out ${{outputs.out}}
    inputs:
      rows: {type: uri_file, path: ./src/count.py, mode: direct}
      word: "a b; $(touch hacked)"
    outputs: {out: {type: uri_folder, mode: direct}}
    conf: {spark.driver.memory: 1g, spark.ui.enabled: true}
    resources: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
"""
LAUNCHER = f"""#!{sys.executable}
import json, os, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir()
(out / "part").touch()
rows = pathlib.Path(sys.argv[sys.argv.index("--rows") + 1]).read_text()
python = os.environ["PYSPARK_PYTHON"]
print(json.dumps({{"arguments": sys.argv[1:], "python": python, "rows": rows}}))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "count.py").write_text("counted\n")
    (folder / "helpers.zip").touch()
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on the path, with `java` in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    program(folder / "java", "#!/bin/sh\n")
    return folder


def program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def test_a_spark_job_is_submitted_with_all_that_it_says(
    local: LocalWorkspace, job: WriteJob, source: Path, programs: Path
) -> None:
    program(programs / "spark-submit", LAUNCHER)
    record = local.jobs.wait(local.jobs.submit(job(JOB), name="counting").name, timeout=60)
    log = local.jobs.log("counting")
    assert record.status is JobStatus.COMPLETED, log
    assert record.type == "spark"
    told = json.loads(next(line for line in log.splitlines() if line.startswith("{")))
    assert told["python"] == sys.executable
    arguments = told["arguments"]
    assert arguments[:4] == ["--master", "local[*]", "--name", "counting"]
    conf = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--conf"]
    assert {"spark.driver.memory=1g", "spark.ui.enabled=true"} <= set(conf)
    assert "spark.driver.bindAddress=127.0.0.1" in conf
    rest = arguments[arguments.index("--py-files") :]
    assert rest[:4] == ["--py-files", "helpers.zip", "count.py", "--rows"]
    assert told["rows"] == "counted\n"
    assert rest[5:7] == ["--word", "a b; $(touch hacked)"]
    written = local.data.local_path(record.outputs["out"].uri)
    assert [path.name for path in written.iterdir()] == ["part"]


def test_where_spark_is_missing_the_place_is_told_with_what_to_install(
    local: LocalWorkspace,
    job: WriteJob,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spark_step, "find_spec", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported) as caught:
        local.jobs.submit(job(JOB))
    said = str(caught.value)
    assert "job.yml:1: type: A Spark job needs pyspark and Java; missing here: both." in said
    assert "pip install 'mlops_dagster[spark]'" in said


def test_a_class_without_its_jar_is_refused(
    local: LocalWorkspace, job: WriteJob, source: Path, programs: Path
) -> None:
    program(programs / "spark-submit", "#!/bin/sh\n")
    text = JOB.replace("entry: {file: count.py}", "entry: {class_name: org.example.Count}")
    with pytest.raises(InvalidRequest, match="no jar"):
        local.jobs.submit(job(text))
