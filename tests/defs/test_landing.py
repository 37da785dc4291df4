"""The landing in Dagster: its sensor, its runs, its checks and its jobs, in a real instance."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster import DagsterRunStatus
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import EngineEventData
from dagster._core.execution.api import execute_run
from dagster._core.scheduler.instigation import TickStatus

from mlops_dagster import load_project
from mlops_dagster.landing import DropState, clear_jobs, drops
from mlops_dagster.workspace import connect
from tests.defs.deployment import deployed, wait_until
from tests.defs.dropping import PROJECT, Dropping, daemon

INSTANCE = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
TABLES = [dg.AssetKey(["dropping", "landing", table]) for table in ("scores", "quarantine")]
NOW = (
    PROJECT.replace("age: 1 second", "age: 0 seconds")
    .replace("{files: 5", "{files: 2")
    .replace("interval:", "attempts: 3\n  retry_delay: 0 seconds\n  interval:")
)


@pytest.fixture
def place(tmp_path: Path, mlops_home: Path, monkeypatch: pytest.MonkeyPatch) -> Dropping:
    made = Dropping.make(tmp_path, mlops_home, project=NOW)
    monkeypatch.setenv("DAGSTER_HOME", str(made.dagster_home))
    (made.dagster_home / "dagster.yaml").write_text(INSTANCE, encoding="utf-8")
    return made


@pytest.fixture
def instance(place: Dropping) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as opened:
        yield opened


def definitions(place: Dropping) -> dg.Definitions:
    return load_project(place.folder / "definitions.py")


def look(
    place: Dropping, instance: dg.DagsterInstance, cursor: str | None = None
) -> dg.SensorResult:
    """One evaluation of the sensor."""
    found: Any = definitions(place).get_repository_def().get_sensor_def("landing_sensor")
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    result = found(context)
    assert isinstance(result, dg.SensorResult)
    return result


def run(
    place: Dropping, instance: dg.DagsterInstance, job: str = "landing_scoring", **more: Any
) -> dg.ExecuteInProcessResult:
    found = definitions(place).resolve_job_def(job)
    return found.execute_in_process(instance=instance, raise_on_error=False, **more)


def requested(
    place: Dropping, instance: dg.DagsterInstance
) -> list[tuple[dg.RunRequest, dg.ExecuteInProcessResult]]:
    """Look once, and run what is asked for."""
    requests = look(place, instance).run_requests or ()
    return [(each, run(place, instance, tags=each.tags)) for each in requests]


def reported(
    instance: dg.DagsterInstance, result: dg.SensorResult
) -> list[dg.AssetCheckEvaluation]:
    """The check results of a look, after they were reported as the daemon does."""
    events = [each for each in result.asset_events if isinstance(each, dg.AssetCheckEvaluation)]
    for event in events:
        instance.report_runless_asset_event(event)
    return events


def states(place: Dropping) -> dict[str, DropState]:
    return {record.drop.path: record.state for record in drops(place.landing)}


def check(result: dg.ExecuteInProcessResult, name: str) -> Any:
    (found,) = (each for each in result.get_asset_check_evaluations() if each.check_name == name)
    return found


def test_a_location_without_a_landing_has_none_of_its_parts(place: Dropping) -> None:
    text = NOW.partition("landing:")[0]
    (place.folder / "project.yaml").write_text(text, encoding="utf-8")
    assert not definitions(place).sensors


def test_the_sensor_skips_with_its_reason_and_keeps_a_small_cursor(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    result = look(place, instance)
    assert not result.run_requests
    assert result.skip_reason is not None
    assert result.skip_reason.skip_message == "nothing new has landed"
    assert result.cursor is not None
    assert len(result.cursor) < 200


@pytest.mark.parametrize("use_threads", [True, False])
def test_the_sensor_goes_on_looking_where_no_other_sensor_waits_for_it(
    place: Dropping, use_threads: bool
) -> None:
    settings = f"{INSTANCE}sensors: {{use_threads: {str(use_threads).lower()}, num_workers: 2}}\n"
    (place.dagster_home / "dagster.yaml").write_text(settings, encoding="utf-8")
    with dg.DagsterInstance.get() as instance:
        look(place, instance)  # loads what is loaded once
        dropped = threading.Timer(1.0, place.drop, ("a.csv", [1]))
        dropped.start()
        result = look(place, instance)
        dropped.join()
    assert bool(result.run_requests) is use_threads


def test_a_run_is_tied_to_its_manifest_and_shows_what_it_did(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1, 2, "x"])
    ((request, result),) = requested(place, instance)
    assert result.success
    batch = request.tags["landing/batch"]
    (scores,) = instance.fetch_materializations(
        dg.AssetKey(["dropping", "landing", "scores"]), limit=1
    ).records
    assert scores.asset_materialization is not None
    shown = scores.asset_materialization.metadata
    assert shown["batch"].value == batch
    assert shown["dagster/row_count"].value == 2
    assert shown["rows quarantined"].value == 1
    assert "a.csv:0" in str(shown["preview"].value)
    assert check(result, "reconciliation").passed
    assert place.keys() == {"a.csv:0": 1, "a.csv:1": 1}


def test_a_batch_is_asked_for_once_while_its_run_goes_on(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1])
    (request,) = look(place, instance).run_requests or ()
    job = definitions(place).resolve_job_def("landing_scoring")
    instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTING)
    result = look(place, instance)
    assert not result.run_requests
    assert "is at work" in str(result.skip_reason)


def test_a_run_that_a_dead_daemon_never_started_is_asked_for_under_its_own_key(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1])
    (request,) = look(place, instance).run_requests or ()
    job = definitions(place).resolve_job_def("landing_scoring")
    tags = {**request.tags, "dagster/run_key": "the-key"}
    instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.NOT_STARTED)
    (again,) = look(place, instance).run_requests or ()
    assert again.run_key == "the-key"


def test_a_run_whose_process_is_gone_is_marked_as_failed_and_followed_by_another(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1])
    (request,) = look(place, instance).run_requests or ()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lost = _started_run(place, instance, request, gone.pid)
    (again,) = look(place, instance).run_requests or ()
    assert again.run_key == f"{request.run_key}-2"
    found = instance.get_run_by_id(lost)
    assert found is not None
    assert found.status is DagsterRunStatus.FAILURE


def test_a_run_whose_process_lives_is_left_alone(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1])
    (request,) = look(place, instance).run_requests or ()
    _started_run(place, instance, request, psutil.Process().pid)
    assert not look(place, instance).run_requests


def test_a_run_that_could_reach_nothing_counts_for_no_attempt(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    path = place.drop("a.csv", [1])
    (request,) = look(place, instance).run_requests or ()
    job = definitions(place).resolve_job_def("landing_scoring")
    for _ in range(4):
        tags = {**request.tags, "landing/unreachable": "yes"}
        instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.FAILURE)
    result = look(place, instance)
    assert "tried again in" in str(result.skip_reason)
    (record,) = place.landing.ledger.open_batches()
    assert (record.attempt, record.batch.drops[0].path) == (1, path.name)


def test_a_job_that_cannot_be_submitted_counts_for_no_attempt(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1])
    (request,) = look(place, instance).run_requests or ()
    cluster = place.folder / ".cloud/local/compute/cpu.yml"
    declared = cluster.read_text(encoding="utf-8")
    cluster.unlink()
    for _ in range(4):
        assert not run(place, instance, tags=request.tags).success
    assert "tried again in" in str(look(place, instance).skip_reason)
    cluster.write_text(declared, encoding="utf-8")
    assert run(place, instance, tags=request.tags).success
    assert states(place) == {"a.csv": DropState.SCORED}


def _started_run(
    place: Dropping, instance: dg.DagsterInstance, request: dg.RunRequest, pid: int
) -> str:
    """A run as the launcher and the worker ``pid`` leave it."""
    job = definitions(place).resolve_job_def("landing_scoring")
    tags = {**request.tags, ".dagster/grpc_info": json.dumps({"host": "localhost", "socket": "s"})}
    made = instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.STARTED)
    instance.report_engine_event(
        "Started process for run",
        made,
        EngineEventData({"pid": dg.MetadataValue.text(str(pid))}),
    )
    return made.run_id


def test_a_failing_batch_is_tried_again_then_given_up_loudly_and_blocks_nobody(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    (place.control / "fail").touch()
    place.drop("bad.csv", [1])
    failures = [result for _ in range(4) for _, result in requested(place, instance)]
    assert [each.success for each in failures] == [False, False, False]
    told = str(failures[-1].all_events)
    assert "is given up after 3 attempts" in told
    assert states(place) == {"bad.csv": DropState.FAILED}

    (place.control / "fail").unlink()
    place.drop("good.csv", [1])
    ((_, result),) = requested(place, instance)
    assert result.success
    assert not check(result, "given_up").passed
    assert states(place)["good.csv"] is DropState.SCORED


def test_the_sensor_reports_a_drop_that_was_given_up_when_nothing_runs(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    (place.control / "fail").touch()
    place.drop("bad.csv", [1])
    for _ in range(3):
        requested(place, instance)
    result = look(place, instance)
    (event,) = reported(instance, result)
    assert (event.check_name, event.passed) == ("given_up", False)
    assert not look(place, instance, cursor=result.cursor).asset_events


def test_a_drop_that_waits_too_long_fails_the_freshness_check(
    place: Dropping, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_dagster.defs.landing import checks

    place.drop("a.csv", [1])
    look(place, instance)
    later = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr(checks, "now", lambda: later)
    (event,) = look(place, instance).asset_events
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert (event.check_name, event.passed) == ("freshness", False)


def test_a_run_without_a_batch_scores_all_that_waits(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    for name in ("a", "b", "c"):
        place.drop(f"{name}.csv", [1])
    assert run(place, instance).success
    assert set(states(place).values()) == {DropState.SCORED}
    assert run(place, instance).success


def test_a_quarantined_drop_is_replayed_from_the_ui(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", ["x"])
    requested(place, instance)
    assert states(place) == {"a.csv": DropState.QUARANTINED}
    config = {"ops": {"offer_drop_again": {"config": {"drop": "a.csv"}}}}
    assert run(place, instance, "landing_replay", run_config=config).success
    assert states(place) == {"a.csv": DropState.WAITING}
    unknown = {"ops": {"offer_drop_again": {"config": {"drop": "nope"}}}}
    assert not run(place, instance, "landing_replay", run_config=unknown).success


def test_upkeep_compacts_and_fails_where_rows_are_missing(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    for number in range(3):
        place.drop(f"{number}.csv", [1, "x"])
        requested(place, instance)
    assert run(place, instance, "landing_upkeep").success
    table = place.landing.tables.open(place.landing.tables.scores)
    assert table is not None
    assert len(table.file_uris()) == 1
    table.delete("key = '1.csv:0'")
    assert not run(place, instance, "landing_upkeep").success


@pytest.mark.slow
def test_the_checks_show_the_truth_whatever_order_overlapping_runs_end_in(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1, "x"])
    place.drop("b.csv", [2])
    place.drop("c.csv", [3])
    first, second = look(place, instance).run_requests or ()
    job = definitions(place).resolve_job_def("landing_scoring")
    planned = [instance.create_run_for_job(job, tags=each.tags) for each in (first, second)]
    for each in reversed(planned):
        assert execute_run(InMemoryJob(job), each, instance).success
    result = look(place, instance)
    with deployed(instance, place.folder / "definitions.py") as ui:
        assert set(ui.checks(*TABLES).values()) == {"NOT EVALUATED"}
        assert len(reported(instance, result)) == 4
        assert ui.checks(*TABLES) == {
            "reconciliation": "SUCCEEDED",
            "freshness": "SUCCEEDED",
            "given_up": "SUCCEEDED",
            "unseen": "WARN",
        }
        assert not look(place, instance, cursor=result.cursor).asset_events


def test_quarantine_warns_until_somebody_has_seen_it(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1, "x"])
    place.drop_text("torn.parquet", "PAR1 torn")
    ((_, result),) = requested(place, instance)
    unseen = check(result, "unseen")
    assert (unseen.passed, unseen.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert unseen.description.startswith("2 files lie in quarantine")

    assert run(place, instance, "landing_acknowledge").success
    (event,) = reported(instance, look(place, instance))
    assert (event.check_name, event.passed) == ("unseen", True)

    place.drop("b.csv", ["y"])
    ((_, result),) = requested(place, instance)
    assert check(result, "unseen").description.startswith("1 file lies in quarantine")


def test_the_quarantines_page_shows_all_that_lies_there_now(
    place: Dropping, instance: dg.DagsterInstance
) -> None:
    place.drop("a.csv", [1, "x", "y"])
    requested(place, instance)
    place.drop("good.csv", [1])
    requested(place, instance)
    shown = newest(instance, "quarantine")
    assert (shown["files in quarantine"].value, shown["rows in quarantine"].value) == (1, 2)
    assert "| a.csv | 3 | 2 |" in str(shown["in quarantine"].value)
    assert "not a number" in str(shown["preview"].value)
    columns = newest(instance, "scores")["dagster/column_schema"].value
    assert isinstance(columns, dg.TableSchema)
    assert ("score", "double") in {(column.name, column.type) for column in columns.columns}


def newest(instance: dg.DagsterInstance, table: str) -> Mapping[str, dg.MetadataValue[Any]]:
    """The metadata of a table's newest materialization."""
    key = dg.AssetKey(["dropping", "landing", table])
    (record,) = instance.fetch_materializations(key, limit=1).records
    assert record.asset_materialization is not None
    return record.asset_materialization.metadata


def test_upkeep_is_on_from_the_start_and_deletes_what_is_not_needed_any_more(
    place: Dropping, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_dagster.defs.landing import history, jobs

    found = definitions(place).get_repository_def()
    schedule = found.get_schedule_def("landing_upkeep_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING

    for number in range(3):
        place.drop(f"{number}.csv", [1])
        requested(place, instance)
    with closing(connect("local", project=place.folder)) as workspace:
        (job, *_) = workspace.jobs.list(tags={"landing.project": "dropping"})
        kept = [workspace.data.local_path(str(job.inputs["drops"]))]
        kept += [workspace.data.local_path(output.uri) for output in job.outputs.values()]
        assert all(path.exists() for path in kept)

    # What is young is kept; so are the newest runs, whatever their age.
    assert run(place, instance, "landing_upkeep").success
    assert all(path.exists() for path in kept)
    monkeypatch.setattr(history, "KEPT_RUNS", 1)
    monkeypatch.setattr(jobs, "clear_jobs", partial(aged, clear_jobs))
    monkeypatch.setattr(jobs, "delete_old_runs", partial(aged, history.delete_old_runs))
    assert run(place, instance, "landing_upkeep").success
    assert not any(path.exists() for path in kept)
    runs = instance.get_run_records(dg.RunsFilter(job_name="landing_scoring"))
    assert len(runs) == 1
    with closing(connect("local", project=place.folder)) as workspace:
        assert workspace.jobs.list(tags={"landing.project": "dropping"}) == []
        assert workspace.jobs.get(job.name).archived
    assert place.keys() == {f"{number}.csv:0": 1 for number in range(3)}


def aged(work: Any, *given: Any, keep: timedelta) -> Any:
    """Do it as if what ended a moment ago had ended ``keep`` ago."""
    return work(*given, keep=timedelta(0))


@pytest.mark.slow
def test_the_real_daemon_scores_what_is_dropped(place: Dropping) -> None:
    place.drop("a.csv", [1, 2])
    place.drop_text("torn.parquet", "PAR1 torn")
    with daemon(place):
        wait_until(lambda: place.is_done(2), seconds=120)
        ticks = sum(1 for _ in logged_ticks(place))
        wait_until(lambda: skipped_ticks(place) > 3, seconds=120)
        assert sum(1 for _ in logged_ticks(place)) == ticks
    assert all("new drops" in file.read_text() for file in logged_ticks(place))
    assert place.keys() == {"a.csv:0": 1, "a.csv:1": 1}
    assert states(place)["torn.parquet"] is DropState.QUARANTINED


def logged_ticks(place: Dropping) -> Iterator[Path]:
    """The files that ticks of the sensor logged something to."""
    for file in (place.dagster_home / "storage").rglob("landing_sensor/*.err"):
        if file.stat().st_size:
            yield file


def skipped_ticks(place: Dropping) -> int:
    """How many ticks found nothing since the last one that asked for a run."""
    with dg.DagsterInstance.get() as instance:
        (state,) = (
            each
            for each in instance.all_instigator_state()
            if each.instigator_name == "landing_sensor"
        )
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=50)
    kinds = [tick.status for tick in ticks]
    return next((n for n, kind in enumerate(kinds) if kind is TickStatus.SUCCESS), len(kinds))
