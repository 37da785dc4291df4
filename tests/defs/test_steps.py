"""A pipeline's steps as assets: their lineage, their runs, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from mlops_dagster.errors import WorkspaceUnavailable
from mlops_dagster.workspace.ports import JobRecord, LogLine
from tests.defs.conftest import Tiny, log_lines


def parents(tiny: Tiny, name: str) -> set[str]:
    graph = tiny.definitions().resolve_asset_graph()
    return {"/".join(key.path[1:]) for key in graph.get(tiny.key(name)).parent_keys}


def test_lineage_is_read_from_the_bindings_of_the_pipelines(tiny: Tiny) -> None:
    assert parents(tiny, "ingest/write") == set()
    assert parents(tiny, "numbers") == {"ingest/write"}
    assert parents(tiny, "train/fit") == {"numbers"}
    assert parents(tiny, "train/report") == {"train/fit"}


def test_a_step_runs_alone_on_the_newest_upstream(tiny: Tiny) -> None:
    assert tiny.materialize("ingest/write", "numbers").success
    assert tiny.materialize("train/fit").success
    first = tiny.newest("train/fit")["output fitted"]
    tiny.write("rows.csv", "id,value\n1,0.5\n2,0.25\n3,1.0\n4,0.75\n")
    assert tiny.materialize("ingest/write", "numbers").success

    assert tiny.materialize("train/fit").success

    newest = tiny.newest("train/fit")["output fitted"]
    assert newest != first
    assert tiny.workspace.data.local_path(newest).read_text().split() == ["5"]


def test_what_has_not_changed_is_taken_over_and_said_so(tiny: Tiny) -> None:
    assert tiny.materialize("ingest/write", "numbers", "train/fit").success
    first = tiny.newest("train/fit")
    again = tiny.materialize("ingest/write", "numbers", "train/fit")

    assert again.success
    assert len(tiny.starts()) == 1
    assert tiny.newest("train/fit")["reused from"] == first["job"]
    assert any(
        f"Job {first['job']} did the same" in line for line in log_lines(again, tiny.instance)
    )


def test_a_step_whose_upstream_was_never_materialized_says_which(tiny: Tiny) -> None:
    result = tiny.materialize("train/report")

    (failure,) = result.get_step_failure_events()
    told = failure.step_failure_data.error_display_string
    assert "tiny/train/fit has not been materialized yet" in told
    assert tiny.workspace.jobs.list() == []


def test_a_job_shows_its_lines_and_itself_in_the_run(tiny: Tiny) -> None:
    result = tiny.materialize("ingest/write", "numbers", "train/fit", "train/report")

    assert result.success
    lines = log_lines(result, tiny.instance)
    assert any("the count is 4" in line for line in lines)
    shown = tiny.newest("train/report")
    job = tiny.workspace.jobs.get(shown["job"])
    assert shown["seconds"] == pytest.approx(job.duration, abs=0.01)
    assert shown["output report"] == job.outputs["report"].uri
    assets = [each["asset"] for each in shown["lineage"]]
    assert assets == ["tiny/ingest/write", "tiny/train/fit", "tiny/train/report"]
    assert shown["lineage"][-1]["job"] == job.name


def test_a_long_log_is_cut_in_the_run_and_whole_in_the_workspace(tiny: Tiny) -> None:
    tiny.edit("pipelines/ingest.yml", "echo writing numbers", "seq 1 120000")
    result = tiny.materialize("ingest/write")

    assert result.success
    lines = log_lines(result, tiny.instance)
    job = tiny.newest("ingest/write")["job"]
    assert sum(map(len, lines)) < 500_000
    assert len(lines) < 100
    assert any(f"mlops job logs {job}" in line for line in lines)
    assert tiny.workspace.jobs.log(job, tail=1).strip() == "120000"


def test_a_failed_step_tells_the_end_of_its_log_and_nothing_else(tiny: Tiny) -> None:
    assert tiny.materialize("ingest/write", "numbers").success
    (tiny.control / "fail").touch()

    result = tiny.materialize("train/fit", "train/report")

    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    assert "ended as Failed: " in error.message
    assert "no luck today" in error.message
    assert len(error.message) < 1_000
    assert (error.cause, error.context) == (None, None)
    started = {event.step_key for event in result.all_events if event.is_step_start}
    assert started == {"tiny__train__fit"}


def test_the_steps_of_one_compute_target_share_a_pool(tiny: Tiny) -> None:
    tiny.edit("pipelines/train.yml", "  report:\n", "  report:\n    compute: azureml:gpu\n")
    job = tiny.definitions().resolve_implicit_global_asset_job_def()
    pools = {node.name: node.definition.pools for node in job.graph.nodes}
    assert pools["tiny__ingest__write"] == pools["tiny__train__fit"] == {"tiny/cpu"}
    assert pools["tiny__train__report"] == {"tiny/gpu"}
    assert pools["tiny__numbers"] == set()


def test_an_unknown_compute_fails_before_anything_runs(tiny: Tiny) -> None:
    tiny.edit("pipelines/ingest.yml", "azureml:cpu", "azureml:gpu")

    result = tiny.materialize("ingest/write")

    (failure,) = result.get_step_failure_events()
    assert "There is no compute 'gpu'" in failure.step_failure_data.error_display_string
    assert tiny.workspace.jobs.list() == []


def test_the_version_of_a_step_follows_its_command_and_its_code(tiny: Tiny) -> None:
    def version() -> str | None:
        graph = tiny.definitions().resolve_asset_graph()
        return graph.get(tiny.key("ingest/write")).code_version

    tiny.write("code/write.py", "print('one')\n")
    tiny.edit("pipelines/ingest.yml", "    command: |", "    code: ../code\n    command: |")
    first = version()
    assert version() == first
    tiny.write("code/write.py", "print('two')\n")
    second = version()
    tiny.edit("pipelines/ingest.yml", "writing numbers", "writing them")

    assert len({first, second, version()}) == 3


def test_an_asset_links_to_the_line_and_the_code_that_define_it(tiny: Tiny) -> None:
    tiny.write("code/write.py", "print('one')\n")
    tiny.edit("pipelines/ingest.yml", "    command: |", "    code: ../code\n    command: |")
    graph = tiny.definitions().resolve_asset_graph()

    metadata = graph.get(tiny.key("ingest/write")).metadata
    value = metadata["dagster/code_references"]

    assert isinstance(value, dg.CodeReferencesMetadataValue)
    pipeline, code = value.code_references
    assert isinstance(pipeline, dg.LocalFileCodeReference)
    assert isinstance(code, dg.LocalFileCodeReference)
    assert pipeline.file_path == str(tiny.folder / "pipelines" / "ingest.yml")
    assert pipeline.line_number == 6
    assert code.file_path == str(tiny.folder / "code")


def test_a_workspace_that_does_not_answer_for_a_moment_costs_nothing(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = type(tiny.workspace.jobs)
    get, stream = jobs.get, jobs.stream
    calls = {"get": 0, "stream": 0}

    def get_or_not(self: Any, name: str) -> JobRecord:
        calls["get"] += 1
        if calls["get"] % 2:
            raise WorkspaceUnavailable("The line is busy.")
        return get(self, name)

    def broken_off_once(self: Any, name: str) -> Iterator[LogLine]:
        calls["stream"] += 1
        for position, line in enumerate(stream(self, name)):
            if calls["stream"] == 1 and position == 1:
                raise WorkspaceUnavailable("The line is busy.")
            yield line

    tiny.edit("pipelines/ingest.yml", "echo writing numbers", "seq 101 103; sleep 1")
    monkeypatch.setattr(jobs, "get", get_or_not)
    monkeypatch.setattr(jobs, "stream", broken_off_once)
    result = tiny.materialize("ingest/write")
    monkeypatch.undo()

    assert result.success
    assert calls["stream"] > 1  # taken up again, as often as the line was busy
    said = "\n".join(log_lines(result, tiny.instance))
    assert [said.count(str(number)) for number in (101, 102, 103)] == [1, 1, 1]
